import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { unlessMissing } from "../effects/errno.ts";
import type { Policy } from "../manifests/policy.ts";
import { createDirectory } from "./directory.ts";
import type { PublicKey } from "./ed25519.ts";
import { TrustError } from "./error.ts";
import { createKeyFile, type KeyFile, readKeyFile } from "./keyfile.ts";
import type { Sealer } from "./seal.ts";
import type { Signer } from "./signer.ts";
import { seedTrust } from "./trust.ts";
import { seedPath } from "./truststate.ts";

// The operator's side: who holds which key in a home, and how a home begins.

const ROLES = ["root", "targets", "snapshot", "timestamp", "production", "staging", "builder", "tester"] as const;

const PRIVATE_DIRECTORY_MODE = 0o700;

/** A home's parts that trust is made of. */
export interface Home {
  keys: string;
  repository: string;
  /** The operator's own client state: what `promote` and `verify` trust. */
  trust: string;
}

export function homeOf(home: string, repository = join(home, "repository")): Home {
  return { keys: join(home, "keys"), repository, trust: join(home, "trust") };
}

/**
 * Makes what a home lacks of keys, repository and trust. A home that lacks nothing is refused with nothing changed, and
 * so is one that lacks what the rest of it came from: new keys sign nothing for a repository that is there. Each part
 * is made whole or not at all, so a killed one is finished by the next. Returns the names of what was made.
 */
export async function initHome(home: Home, sealer: Sealer | undefined, now: Date): Promise<string[]> {
  const { initRepository, readFirstRoot } = await import("./tuf/repository.ts");
  const lacks = await findMissing(home);
  if (lacks.length === 0) {
    throw new TrustError("keys-exist", `${home.keys}: expected no keys, got a home that has keys and a repository`, {
      hint: "`ostler keys list` shows them; another --home begins anew",
    });
  }
  if (lacks.includes("keys") && !lacks.includes("repository")) {
    const found = `got none beside the repository ${home.repository}`;
    throw new TrustError("keys-lost", `${home.keys}: expected the keys that sign the repository, ${found}`, {
      hint: "restore the keys from a backup; another --home begins anew, and its nodes are seeded anew",
    });
  }
  if (lacks.includes("repository") && !lacks.includes("trust")) {
    throw new TrustError(
      "keys-exist",
      `${home.trust}: expected none beside no repository, got one of another repository`,
      {
        hint: "restore the repository, or move this directory away to trust a new one",
      },
    );
  }
  if (lacks.includes("keys")) await createKeys(home.keys, sealer, now);
  if (lacks.includes("repository")) {
    const keys = await readKeys(home.keys);
    const signers = await openSigners(
      keys,
      ["root", "targets", "snapshot", "timestamp", "production", "staging"],
      sealer,
    );
    await initRepository({ directory: home.repository, signers, now }, foundationOf(keys));
  }
  if (lacks.includes("trust")) await seedTrust(home.trust, await readFirstRoot(home.repository));
  return lacks;
}

/** The key files of a home, in the order of ROLES. */
export async function readKeys(directory: string): Promise<KeyFile[]> {
  const names = (await unlessMissing(readdir(directory))) ?? [];
  const files = names.filter((name) => name.endsWith(".json") && !name.startsWith("."));
  const keys = await Promise.all(files.sort().map((name) => readKeyFile(join(directory, name))));
  const rank = ({ role }: KeyFile) => (ROLES as readonly string[]).indexOf(role) + 1 || ROLES.length + 1;
  return keys.sort((a, b) => rank(a) - rank(b));
}

/** The signers of the given roles; throws `key-missing` where a role has no key here. */
export async function openSigners(
  keys: readonly KeyFile[],
  roles: readonly string[],
  sealer: Sealer | undefined,
): Promise<(role: string) => readonly Signer[]> {
  const opened = new Map<string, Signer[]>();
  for (const role of roles) {
    const files = keys.filter((key) => key.role === role);
    if (files.length === 0) throw missingKey(role, keys);
    opened.set(role, await Promise.all(files.map((file) => file.open(sealer))));
  }
  return (role) => opened.get(role) ?? [];
}

/** The one signer of statements of a role. */
export async function openSigner(home: Home, role: "builder" | "tester", sealer: Sealer | undefined): Promise<Signer> {
  const keys = await readKeys(home.keys);
  const [signer] = (await openSigners(keys, [role], sealer))(role);
  if (signer === undefined) throw missingKey(role, keys);
  return signer;
}

async function findMissing(home: Home): Promise<("keys" | "repository" | "trust")[]> {
  const parts = [
    ["keys", home.keys],
    ["repository", join(home.repository, "metadata")],
    ["trust", seedPath(home.trust)],
  ] as const;
  const found = await Promise.all(parts.map(([, path]) => unlessMissing(stat(path))));
  return parts.filter((_, index) => found[index] === undefined).map(([name]) => name);
}

async function createKeys(directory: string, sealer: Sealer | undefined, now: Date): Promise<void> {
  await createDirectory(directory, PRIVATE_DIRECTORY_MODE, async (staged) => {
    for (const role of ROLES) await createKeyFile(join(staged, `${role}.json`), role, now, sealer);
  });
}

/** Who signs what, and what the channels require, in a home that begins. */
function foundationOf(keys: readonly KeyFile[]) {
  const held = (role: string): PublicKey[] => keys.filter((key) => key.role === role).map(({ key }) => key);
  const role = (name: string) => ({ keys: held(name), threshold: 1 });
  const publicOf = ({ keyid, hex }: PublicKey) => ({ keyid, public: hex });
  const policy: Policy = {
    schema: 1,
    builders: held("builder").map(publicOf),
    testers: held("tester").map(publicOf),
    channels: {
      staging: { requires: ["built"], suites: [], floors: {} },
      production: { requires: ["built", "tested", "clean"], suites: [], floors: {} },
    },
    revoked: [],
  };
  return {
    roles: { root: role("root"), targets: role("targets"), snapshot: role("snapshot"), timestamp: role("timestamp") },
    channels: { staging: role("staging"), production: role("production") },
    policy,
  };
}

function missingKey(role: string, keys: readonly KeyFile[]): TrustError {
  const next = keys.length === 0 ? "`ostler keys init` makes them" : "`ostler keys list` shows those that are here";
  return new TrustError("key-missing", `role ${role}: expected a key file, got none`, {
    hint: `${next}; --home names another home`,
    details: { role },
  });
}
