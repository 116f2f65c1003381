import { type Signer, signerFromSeed } from "../keys/signer.ts";
import { type RoleKeys, TOP_ROLES, type TopRole } from "../keys/tuf/metadata.ts";
import type { Foundation } from "../keys/tuf/plan/init.ts";
import type { Signers } from "../keys/tuf/plan/metadata.ts";
import { digestFromHex } from "../manifests/digest.ts";
import type { Release } from "../manifests/release.ts";

const CHANNELS = ["staging", "production"] as const;
const ROLES = [...TOP_ROLES, ...CHANNELS, "builder", "tester"] as const;

/** The same signer for the same role and number in every process. */
export function signerOf(role: string, number = 1): Signer {
  const seed = Buffer.alloc(32);
  seed.write(`${role} ${number}`);
  return signerFromSeed(seed);
}

/** One key per role, and two more for root, of which two must sign. */
export function makeFoundation(): Foundation {
  const roles = Object.fromEntries(TOP_ROLES.map((role) => [role, keysOf(signerOf(role))]));
  const root: RoleKeys = { keys: [1, 2, 3].map((number) => signerOf("root", number).key), threshold: 2 };
  const [builder, tester] = [signerOf("builder").key, signerOf("tester").key];
  return {
    roles: { ...(roles as Record<TopRole, RoleKeys>), root },
    channels: Object.fromEntries(CHANNELS.map((channel) => [channel, keysOf(signerOf(channel))])),
    policy: {
      schema: 1,
      builders: [{ keyid: builder.keyid, public: builder.hex }],
      testers: [{ keyid: tester.keyid, public: tester.hex }],
      channels: {
        staging: { requires: ["built"], suites: [], floors: {} },
        production: { requires: ["built", "tested", "clean"], suites: [], floors: {} },
      },
      revoked: [],
    },
  };
}

/** The signers of every role of the foundation, root's first two. */
export const allSigners: Signers = (role) => {
  if (!ROLES.some((known) => known === role)) return [];
  return role === "root" ? [signerOf("root", 1), signerOf("root", 2)] : [signerOf(role)];
};

export function keysOf(...signers: readonly Signer[]): RoleKeys {
  return { keys: signers.map(({ key }) => key), threshold: 1 };
}

export function makeRelease(sequence: number, change: Partial<Release> = {}): Release {
  return {
    schema: 1,
    product: "shop",
    channel: "production",
    sequence,
    version: `1.0.${sequence}`,
    image: { digest: digestFromHex(sequence.toString(16).padStart(64, "0")), size: 100 },
    config: {},
    created: "2026-11-21T08:00:00Z",
    ...change,
  };
}
