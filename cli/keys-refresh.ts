import { openSource } from "../effects/source.ts";
import { type Home, openSigners, readKeys } from "../keys/authority.ts";
import { TrustError } from "../keys/error.ts";
import { openTrust } from "../keys/trust.ts";
import { isHalfSpent, LIFETIME_DAYS } from "../keys/tuf/lifetimes.ts";
import { readRepository, refreshRepository } from "../keys/tuf/repository.ts";
import { EXIT_CODES } from "../manifests/failure.ts";
import { table } from "../terminal/table.ts";
import type { Verb } from "../terminal/verb.ts";
import { homeOption, passphraseOption, repositoryOption, sealerOption } from "./trust-options.ts";

const RENEW = "run this where their keys are, with --passphrase-file where they are sealed";

export const verb: Verb = {
  name: "keys refresh",
  summary: "sign the timestamp anew, and what else will expire and has its key here; run it daily",
  options: [repositoryOption, passphraseOption],
  examples: ["ostler keys refresh"],
  async run({ options }) {
    const home = homeOption(options);
    const now = new Date();
    const sealer = await sealerOption(options);
    const keys = (await readKeys(home.keys)).filter(
      ({ role, sealed }) => role === "timestamp" || !sealed || sealer !== undefined,
    );
    const signers = await openSigners(keys, ["timestamp", ...keys.map(({ role }) => role)], sealer);
    await remember(home, now);
    await refreshRepository({ directory: home.repository, signers, now });
    await remember(home, now);
    const rows = await readRoles(home.repository);
    const late = rows.filter(({ role, expires }) => isHalfSpent(kindOf(role), expires, now));
    const due = late.map(({ role }) => role);
    const hasExpired = late.some(({ expires }) => new Date(expires) <= now);
    return {
      json: { schema: 1, repository: home.repository, roles: rows, due },
      text: [
        table(
          ["ROLE", "VERSION", "EXPIRES"],
          rows.map(({ role, version, expires }) => [role, String(version), expires]),
        ),
        ...(due.length === 0 ? [] : [`due, with no key at hand: ${due.join(", ")}; ${RENEW}`]),
        ...(hasExpired ? ["nodes install nothing new until what has expired is renewed"] : []),
      ].join("\n"),
      exitCode: hasExpired ? EXIT_CODES.failed : EXIT_CODES.ok,
    };
  },
};

/** Holds what the repository offers and refuses one that offers less than was held: a home without trust holds nothing. */
async function remember({ repository, trust }: Home, now: Date): Promise<void> {
  try {
    await openTrust({ source: openSource(repository), directory: trust, now: () => now });
  } catch (error) {
    const isNew = error instanceof TrustError && (error.code === "not-seeded" || error.code === "metadata-missing");
    if (!isNew) throw error;
  }
}

async function readRoles(repository: string) {
  const { root, targets, snapshot, timestamp, channels } = await readRepository(repository);
  const metadata = { root, targets, ...Object.fromEntries(channels), snapshot, timestamp };
  return Object.entries(metadata).map(([role, { signed }]) => {
    return { role, version: signed.version, expires: signed.expires };
  });
}

/** Channels are targets roles. */
function kindOf(role: string): keyof typeof LIFETIME_DAYS {
  return Object.hasOwn(LIFETIME_DAYS, role) ? (role as keyof typeof LIFETIME_DAYS) : "targets";
}
