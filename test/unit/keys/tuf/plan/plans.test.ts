import type { Targets } from "@tufjs/models";
import { Metadata, MetadataKind } from "@tufjs/models";
import { describe, expect, test } from "vitest";
import { type Fetch, walkMetadata } from "../../../../../keys/tuf/client.ts";
import { LIFETIME_DAYS } from "../../../../../keys/tuf/lifetimes.ts";
import { rolesOf } from "../../../../../keys/tuf/metadata.ts";
import { planInit } from "../../../../../keys/tuf/plan/init.ts";
import type { RepositoryState, Write } from "../../../../../keys/tuf/plan/metadata.ts";
import { planRefresh } from "../../../../../keys/tuf/plan/refresh.ts";
import { planRelease } from "../../../../../keys/tuf/plan/release.ts";
import { planRotation } from "../../../../../keys/tuf/plan/rotation.ts";
import { planTargets } from "../../../../../keys/tuf/plan/targets.ts";
import { allSigners, keysOf, makeFoundation, makeRelease, signerOf } from "../../../../foundation.ts";

const NOW = new Date("2026-11-21T08:00:00Z");
const daysLater = (days: number) => new Date(NOW.getTime() + days * 24 * 60 * 60 * 1000);
const init = planInit(makeFoundation(), allSigners, NOW);

describe("planInit", () => {
  test("writes root first and timestamp last, every version 1", () => {
    expect(names(init)).toEqual([
      "metadata/1.root.json",
      "targets/HASH.policy.json",
      "metadata/1.targets.json",
      "metadata/1.staging.json",
      "metadata/1.production.json",
      "metadata/1.snapshot.json",
      "metadata/timestamp.json",
    ]);
  });

  test("signs root by as many keys as it needs, and everything expires as named", () => {
    const [root] = init.map(({ bytes }) => JSON.parse(bytes.toString()));
    expect(root.signatures).toHaveLength(2);
    expect(root.signed.expires).toBe("2027-11-21T08:00:00Z");
    const timestamp = JSON.parse((init.at(-1) as Write).bytes.toString());
    expect(timestamp.signed.expires).toBe("2026-11-28T08:00:00Z");
    expect(LIFETIME_DAYS).toEqual({ root: 365, targets: 180, snapshot: 30, timestamp: 7 });
  });

  test("delegates each channel its own paths, and asks nobody after it", () => {
    const targets = JSON.parse(find(init, "metadata/1.targets.json").toString());
    expect(targets.signed.delegations.roles).toMatchObject([
      { name: "staging", paths: ["staging/*"], terminating: true },
      { name: "production", paths: ["production/*"], terminating: true },
    ]);
  });

  test("plans nothing with too few root keys", () => {
    const signers = (role: string) => allSigners(role).slice(0, 1);
    expect(() => planInit(makeFoundation(), signers, NOW)).toThrow(expect.objectContaining({ code: "key-missing" }));
  });
});

describe("planRelease", () => {
  test("writes document, channel, snapshot, timestamp: what leads to something comes after it", async () => {
    expect(names(planRelease(await stateOf(init), makeRelease(1), allSigners, NOW))).toEqual([
      "targets/production/HASH.shop.json",
      "metadata/2.production.json",
      "metadata/2.snapshot.json",
      "metadata/timestamp.json",
    ]);
  });

  test("keeps the other products of the channel", async () => {
    const blog = planRelease(await stateOf(init), makeRelease(1, { product: "blog" }), allSigners, NOW);
    const both = planRelease(await stateOf([...init, ...blog]), makeRelease(1), allSigners, NOW);
    expect(Object.keys(targetsIn(both, "metadata/3.production.json"))).toEqual([
      "production/blog.json",
      "production/shop.json",
    ]);
  });

  test("refuses a channel that is not delegated", async () => {
    const state = await stateOf(init);
    expect(() => planRelease(state, makeRelease(1, { channel: "moon" }), allSigners, NOW)).toThrow(
      "channel moon: expected staging or production",
    );
  });

  test("plans nothing without the channel's own key", async () => {
    const state = await stateOf(init);
    const signers = (role: string) => (role === "production" ? [signerOf("staging")] : allSigners(role));
    expect(() => planRelease(state, makeRelease(1), signers, NOW)).toThrow(
      expect.objectContaining({ code: "key-missing", message: expect.stringContaining("role production") }),
    );
  });
});

describe("planTargets", () => {
  test("gives a channel another key, under which its releases stay", async () => {
    const before = [...init, ...planRelease(await stateOf(init), makeRelease(1), allSigners, NOW)];
    const channels = { ...makeFoundation().channels, production: keysOf(signerOf("production", 2)) };
    const signers = (role: string) => (role === "production" ? [signerOf("production", 2)] : allSigners(role));
    const after = await stateOf([...before, ...planTargets(await stateOf(before), { channels }, signers, NOW)]);
    expect(Object.keys(after.channels.get("production")?.signed.targets ?? {})).toEqual(["production/shop.json"]);
    expect(() => planRelease(after, makeRelease(2), allSigners, NOW)).toThrow("role production");
  });

  test("a channel that comes back goes on from its last version, as clients demand", async () => {
    const { staging = keysOf(), production = keysOf() } = makeFoundation().channels;
    const without = [...init, ...planTargets(await stateOf(init), { channels: { staging } }, allSigners, NOW)];
    const back = planTargets(await stateOf(without), { channels: { staging, production } }, allSigners, NOW);
    expect(names(back)).toContain("metadata/2.production.json");
  });
});

describe("planRefresh", () => {
  test("writes a timestamp alone while the rest is young", async () => {
    expect(names(planRefresh(await stateOf(init), allSigners, daysLater(3)))).toEqual(["metadata/timestamp.json"]);
  });

  test("renews the snapshot past half of its life, and targets and channels past theirs", async () => {
    const state = await stateOf(init);
    expect(names(planRefresh(state, allSigners, daysLater(16)))).toEqual([
      "metadata/2.snapshot.json",
      "metadata/timestamp.json",
    ]);
    expect(names(planRefresh(state, allSigners, daysLater(91)))).toEqual([
      "metadata/2.targets.json",
      "metadata/2.staging.json",
      "metadata/2.production.json",
      "metadata/2.snapshot.json",
      "metadata/timestamp.json",
    ]);
  });

  test("leaves roles whose keys are elsewhere as they are", async () => {
    const online = (role: string) => (role === "snapshot" || role === "timestamp" ? allSigners(role) : []);
    expect(names(planRefresh(await stateOf(init), online, daysLater(91)))).toEqual([
      "metadata/2.snapshot.json",
      "metadata/timestamp.json",
    ]);
  });

  test("with the timestamp's key alone renews the timestamp, whatever else is due", async () => {
    const online = (role: string) => (role === "timestamp" ? allSigners(role) : []);
    for (const days of [3, 16, 91]) {
      expect(names(planRefresh(await stateOf(init), online, daysLater(days)))).toEqual(["metadata/timestamp.json"]);
    }
  });
});

describe("planRotation", () => {
  const roles = { ...makeFoundation().roles, timestamp: keysOf(signerOf("timestamp", 2)) };

  test("a root with the same keys is one file", async () => {
    const state = await stateOf(init);
    expect(names(planRotation(state, rolesOf(state.root), allSigners, NOW))).toEqual(["metadata/2.root.json"]);
  });

  test("with the old key at hand, metadata that both roots accept comes before the new root", async () => {
    const both = (role: string) =>
      role === "timestamp" ? [signerOf("timestamp"), signerOf("timestamp", 2)] : allSigners(role);
    const planned = planRotation(await stateOf(init), roles, both, NOW);
    expect(names(planned).slice(-2)).toEqual(["metadata/timestamp.json", "metadata/2.root.json"]);
    expect((await stateOf([...init, ...planned])).root.signed.version).toBe(2);
    expect((await stateOf([...init, ...planned.slice(0, -1)])).root.signed.version).toBe(1);
  });

  test("with the old key gone, the new root comes first", async () => {
    const lost = (role: string) => (role === "timestamp" ? [signerOf("timestamp", 2)] : allSigners(role));
    const planned = planRotation(await stateOf(init), roles, lost, NOW);
    expect(names(planned)[0]).toBe("metadata/2.root.json");
    expect((await stateOf([...init, ...planned])).root.signed.version).toBe(2);
  });

  test("new root keys must sign beside enough of the old ones", async () => {
    const root = keysOf(signerOf("root", 8));
    const state = await stateOf(init);
    const only = (signers: ReturnType<typeof signerOf>[]) => (role: string) =>
      role === "root" ? signers : allSigners(role);
    const old = [signerOf("root", 1), signerOf("root", 2)];
    const refused = expect.objectContaining({ code: "key-missing" });
    expect(() => planRotation(state, { ...roles, root }, only([signerOf("root", 8)]), NOW)).toThrow(refused);
    expect(() => planRotation(state, { ...roles, root }, only(old), NOW)).toThrow(refused);
  });
});

/** The state that a client reads when all writes are done, in order. */
async function stateOf(writes: readonly Write[]): Promise<RepositoryState> {
  const files = new Map(writes.map(({ path, bytes }) => [path, bytes]));
  const fetch: Fetch = async (path) => files.get(path);
  const root = find(writes, "metadata/1.root.json");
  const { store, targets, channels } = await walkMetadata(fetch, new Map([["root", root]]), NOW);
  const { timestamp, snapshot } = store;
  if (timestamp === undefined || snapshot === undefined) throw new Error("expected timestamp and snapshot");
  const accepted = [...channels].map(([name, role]) => {
    if (role instanceof Error) throw role;
    return [name, role] as const;
  });
  return { root: store.root, timestamp, snapshot, targets, channels: new Map<string, Metadata<Targets>>(accepted) };
}

function names(writes: readonly Write[]): string[] {
  return writes.map(({ path }) => path.replace(/[0-9a-f]{64}/, "HASH"));
}

function find(writes: readonly Write[], path: string): Buffer {
  return writes.find((write) => write.path === path)?.bytes ?? Buffer.alloc(0);
}

function targetsIn(writes: readonly Write[], path: string) {
  return Metadata.fromJSON(MetadataKind.Targets, JSON.parse(find(writes, path).toString())).signed.targets;
}
