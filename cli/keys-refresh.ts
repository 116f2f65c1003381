import { openSigners, readKeys } from "../keys/authority.ts";
import { readRepository, refreshRepository } from "../keys/tuf/repository.ts";
import { table } from "../terminal/table.ts";
import type { Verb } from "../terminal/verb.ts";
import { homeOption, passphraseOption, repositoryOption, sealerOption } from "./trust-options.ts";

export const verb: Verb = {
  name: "keys refresh",
  summary: "sign the timestamp anew, and what else will expire and has its key here; run it daily",
  options: [repositoryOption, passphraseOption],
  examples: ["ostler keys refresh"],
  async run({ options }) {
    const home = homeOption(options);
    const keys = await readKeys(home.keys);
    const here = new Set([...keys.map(({ role }) => role), "snapshot", "timestamp"]);
    const signers = await openSigners(keys, [...here], await sealerOption(options));
    await refreshRepository({ directory: home.repository, signers, now: new Date() });
    const { root, targets, snapshot, timestamp, channels } = await readRepository(home.repository);
    const metadata = { root, targets, ...Object.fromEntries(channels), snapshot, timestamp };
    const rows = Object.entries(metadata).map(
      ([
        role,
        {
          signed: { version, expires },
        },
      ]) => ({ role, version, expires }),
    );
    return {
      json: { schema: 1, repository: home.repository, roles: rows },
      text: table(
        ["ROLE", "VERSION", "EXPIRES"],
        rows.map(({ role, version, expires }) => [role, String(version), expires]),
      ),
    };
  },
};
