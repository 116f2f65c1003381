import { execFileSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Metadata, MetadataKind } from "@tufjs/models";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openSource } from "../../../effects/source.ts";
import { openHeldTrust, openTrust, seedTrust } from "../../../keys/trust.ts";
import { addSignature, bytesOf, makeTargets, makeTimestamp, metaOf } from "../../../keys/tuf/metadata.ts";
import { planDocument, planMetadata } from "../../../keys/tuf/plan/metadata.ts";
import {
  initRepository,
  publishRelease,
  publishTargets,
  readRepository,
  refreshTimestamp,
  rotateRoot,
} from "../../../keys/tuf/repository.ts";
import { allSigners, keysOf, makeFoundation, makeRelease, signerOf } from "../../foundation.ts";

const NOW = new Date("2026-11-21T08:00:00Z");
const DAY = 24 * 60 * 60 * 1000;

let home: string;
let repository: string;
let client: string;
const publishing = (change: object = {}) => ({ directory: repository, signers: allSigners, now: NOW, ...change });
const open = (now = NOW, location = repository) =>
  openTrust({ source: openSource(location), directory: client, now: () => now });

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "ostler-trust-"));
  repository = join(home, "repository");
  client = join(home, "trust");
  await initRepository(publishing(), makeFoundation());
  await seedTrust(client, await readFile(join(repository, "metadata/1.root.json")));
});

afterEach(async () => {
  await rm(home, { recursive: true, force: true });
});

describe("openTrust", () => {
  test("reads the policy and no release from a new repository", async () => {
    const trust = await open();
    expect(trust.fresh).toBe(true);
    expect(trust.policy).toEqual(makeFoundation().policy);
    expect(trust.channels).toEqual(["staging", "production"]);
    expect(await trust.release("production", "shop")).toBeUndefined();
  });

  test("gives a published release, and a newer one after it", async () => {
    await publishRelease(publishing(), makeRelease(1));
    expect(await (await open()).release("production", "shop")).toEqual(makeRelease(1));
    await publishRelease(publishing(), makeRelease(2));
    expect(await (await open()).release("production", "shop")).toEqual(makeRelease(2));
    expect(await (await open()).release("staging", "shop")).toBeUndefined();
  });

  test("reads the same over HTTP", async () => {
    await publishRelease(publishing(), makeRelease(1));
    await withServer(repository, async (url) => {
      expect(await (await open(NOW, url)).release("production", "shop")).toEqual(makeRelease(1));
    });
  });

  test("refuses a directory that was never seeded, and says how to seed it", async () => {
    client = join(home, "nobody");
    await expect(open()).rejects.toMatchObject({ code: "not-seeded", hint: expect.stringContaining("1.root.json") });
  });
});

describe("openTrust, when its state was damaged", () => {
  const damages: [string, (text: string) => string][] = [
    ["cut short", (text) => text.slice(0, -100)],
    ["empty", () => ""],
    ["of another shape", (text) => text.replace('"newest"', '"oldest"')],
    ["with another root", (text) => text.replace(/("root":".{400})(.)/, (_, before, one) => before + other(one))],
  ];
  const other = (letter: string) => (letter === "A" ? "B" : "A");

  test.each(damages)("%s: refuses, and what the hint says mends it", async (_, damage) => {
    await publishRelease(publishing(), makeRelease(1));
    await (await open()).release("production", "shop");
    const path = join(client, "state.json");
    await writeFile(path, damage(await readFile(path, "utf8")));
    const refused = await open().catch((error) => error);
    expect(refused).toMatchObject({ code: "trust-damaged", message: expect.stringContaining(path) });
    const [command = ""] = String(refused.hint).split(":");
    expect(command).toBe(`rm ${path}`);
    execFileSync("sh", ["-c", command]);
    const trust = await open();
    expect(trust.fresh).toBe(true);
    expect(await trust.release("production", "shop")).toEqual(makeRelease(1));
  });

  test("in any one byte: the same is trusted, or it is refused", async () => {
    await publishRelease(publishing(), makeRelease(1));
    await (await open()).release("production", "shop");
    const path = join(client, "state.json");
    const sound = await readFile(path);
    await fc.assert(
      fc.asyncProperty(fc.nat(sound.length - 1), fc.nat(7), async (at, bit) => {
        const bytes = Buffer.from(sound);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
        await writeFile(path, bytes);
        const trust = await open().catch((error) => error);
        if (trust instanceof Error) {
          expect(trust).toMatchObject({ code: "trust-damaged" });
        } else {
          expect(trust).toMatchObject({ fresh: true, policy: makeFoundation().policy });
          expect(await trust.release("production", "shop")).toEqual(makeRelease(1));
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe("openTrust, when the repository is away or old", () => {
  test("goes on with what it verified, not fresh, with the reason", async () => {
    await publishRelease(publishing(), makeRelease(1));
    await (await open()).release("production", "shop");
    await rm(repository, { recursive: true });
    const trust = await open();
    expect(trust.fresh).toBe(false);
    expect(trust.staleReason).toContain("timestamp.json");
    expect(trust.policy).toEqual(makeFoundation().policy);
    expect(await trust.release("production", "shop")).toEqual(makeRelease(1));
  });

  test("goes on when nobody listens at its address", async () => {
    await open();
    const url = await withServer(repository, async (address) => address);
    expect(await open(NOW, url)).toMatchObject({ fresh: false, staleReason: expect.stringContaining(url) });
  });

  test("an expired timestamp makes it not fresh, and a refreshed one fresh again", async () => {
    await open();
    const later = new Date(NOW.getTime() + 8 * DAY);
    expect(await open(later)).toMatchObject({
      fresh: false,
      staleReason: expect.stringContaining("role timestamp: expired"),
    });
    await refreshTimestamp(publishing({ now: later }));
    expect(await open(later)).toMatchObject({ fresh: true });
  });

  test("long after every expiry it still holds what it verified, and a publisher can still renew", async () => {
    await publishRelease(publishing(), makeRelease(1));
    await (await open()).release("production", "shop");
    const later = new Date(NOW.getTime() + 300 * DAY);
    expect(await (await open(later)).release("production", "shop")).toEqual(makeRelease(1));
    await publishTargets(publishing({ now: later }), { channels: makeFoundation().channels });
    expect(await (await open(later)).release("production", "shop")).toEqual(makeRelease(1));
    expect((await open(later)).fresh).toBe(true);
  });

  test("a repository that was half copied makes it not fresh and is no loss once it is whole", async () => {
    await (await open()).release("production", "shop");
    await publishRelease(publishing(), makeRelease(1));
    const hidden = join(repository, "metadata/2.snapshot.json");
    const snapshot = await readFile(hidden);
    await rm(hidden);
    expect(await open()).toMatchObject({ fresh: false, staleReason: expect.stringContaining("2.snapshot.json") });
    await writeFile(hidden, snapshot);
    expect(await (await open()).release("production", "shop")).toEqual(makeRelease(1));
  });

  test("without anything verified before, it is an error that says so", async () => {
    await rm(join(repository, "metadata/timestamp.json"));
    await expect(open()).rejects.toMatchObject({ code: "metadata-missing", outcome: "failed" });
  });

  test("a release that was never read is told by why the repository is not fresh, with where it is", async () => {
    await publishRelease(publishing(), makeRelease(1));
    await open();
    const stale = await open(new Date(NOW.getTime() + 8 * DAY));
    const away = await open(NOW, join(home, "nowhere"));
    for (const [trust, where, reason] of [
      [stale, repository, "role timestamp: expired"],
      [away, join(home, "nowhere"), "metadata/timestamp.json: expected a file, got none"],
    ] as const) {
      await expect(trust.release("production", "shop")).rejects.toMatchObject({
        code: "metadata-missing",
        message: `${where}: expected fresh metadata, as production/shop.json was never verified here, got: ${trust.staleReason}`,
        hint: expect.stringContaining("`ostler keys refresh`"),
      });
      expect(trust.staleReason).toContain(reason);
    }
  });

  test("held trust asks no repository", async () => {
    await open();
    await rm(repository, { recursive: true });
    expect(await openHeldTrust(client)).toMatchObject({ fresh: false, policy: makeFoundation().policy });
  });
});

describe("openTrust, when an attacker holds the repository", () => {
  test("refuses a channel signed by a key that is not the channel's, even with snapshot and timestamp keys", async () => {
    await forgeChannel([signerOf("staging")]);
    const trust = await open();
    await expect(trust.release("production", "shop")).rejects.toMatchObject({
      code: "metadata-signature",
      outcome: "refused",
      message: expect.stringContaining("role production: expected enough signatures by keys of role production"),
      details: { rule: "metadata-signature", role: "production" },
    });
    expect(await trust.release("staging", "shop")).toBeUndefined();
  });

  test("refuses the channel also when it was good before", async () => {
    await publishRelease(publishing(), makeRelease(1));
    await (await open()).release("production", "shop");
    await forgeChannel([signerOf("root", 1), signerOf("targets"), signerOf("timestamp")]);
    await expect((await open()).release("production", "shop")).rejects.toMatchObject({ code: "metadata-signature" });
    expect(await (await openHeldTrust(client)).release("production", "shop")).toEqual(makeRelease(1));
  });

  test("refuses a changed byte in any metadata file, naming file and role", async () => {
    await publishRelease(publishing(), makeRelease(1));
    for (const [file, role] of [
      ["timestamp.json", "timestamp"],
      ["2.snapshot.json", "snapshot"],
      ["1.targets.json", "targets"],
    ]) {
      await withChanged(join(repository, `metadata/${file}`), async () => {
        await expect(open()).rejects.toMatchObject({
          outcome: "refused",
          message: expect.stringContaining(`metadata/${file}: role ${role}: `),
          details: { role },
        });
      });
    }
    await withChanged(join(repository, "metadata/2.production.json"), async () => {
      const trust = await open();
      await expect(trust.release("production", "shop")).rejects.toMatchObject({
        code: "metadata-hash",
        details: { role: "production" },
      });
    });
  });

  test.each(["null", "[]", "{}", "", "7"])("refuses %j in place of metadata in plain words", async (text) => {
    const path = "metadata/timestamp.json";
    const published = await readFile(join(repository, path));
    await writeFile(join(repository, path), text);
    try {
      await expect(open()).rejects.toMatchObject({ code: "metadata-shape", hint: expect.stringContaining("publish") });
      await expect(open()).rejects.not.toThrow(/destructure|undefined|not a function/);
    } finally {
      await writeFile(join(repository, path), published);
    }
  });

  test("refuses a changed release document and a changed policy, naming the file", async () => {
    await publishRelease(publishing(), makeRelease(1));
    const [release] = await readdir(join(repository, "targets/production"));
    await withChanged(join(repository, `targets/production/${release}`), async () => {
      const trust = await open();
      await expect(trust.release("production", "shop")).rejects.toMatchObject({
        code: "metadata-hash",
        message: expect.stringContaining(`targets/production/${release}: expected SHA-256`),
      });
    });
    const policy = (await readdir(join(repository, "targets"))).find((name) => name.endsWith(".policy.json"));
    client = join(home, "another");
    await seedTrust(client, await readFile(join(repository, "metadata/1.root.json")));
    await withChanged(join(repository, `targets/${policy}`), async () => {
      await expect(open()).rejects.toMatchObject({ code: "metadata-hash" });
    });
  });

  test("refuses an older timestamp, with all that belongs to it: a replayed release", async () => {
    await publishRelease(publishing(), makeRelease(1));
    await cp(repository, join(home, "old"), { recursive: true });
    await publishRelease(publishing(), makeRelease(2));
    await open();
    await expect(open(NOW, join(home, "old"))).rejects.toMatchObject({
      code: "metadata-rollback",
      details: { role: "timestamp" },
    });
  });

  test("refuses an older channel under a newer timestamp", async () => {
    await publishRelease(publishing(), makeRelease(1));
    await publishRelease(publishing(), makeRelease(2));
    await open();
    const state = await readRepository(repository);
    const old = await readFile(join(repository, "metadata/2.production.json"));
    const production = Metadata.fromJSON(MetadataKind.Targets, JSON.parse(old.toString()));
    state.snapshot.signed.meta["production.json"] = metaOf(production, old);
    const { writes } = planMetadata(state, new Map(), allSigners, NOW);
    for (const { path, bytes } of writes) await writeFile(join(repository, path), bytes);
    await expect(open()).rejects.toMatchObject({ code: "metadata-rollback", details: { role: "snapshot" } });
  });

  test("refuses a release document that belongs to another product or channel", async () => {
    const state = await readRepository(repository);
    const channel = state.channels.get("production");
    const document = planDocument("production/shop.json", makeRelease(1, { channel: "staging" }));
    const changed = makeTargets(
      2,
      { ...channel?.signed.targets, [document.target.path]: document.target },
      undefined,
      NOW,
    );
    const { writes } = planMetadata(state, new Map([["production", changed]]), allSigners, NOW);
    await mkdir(join(repository, "targets/production"));
    for (const { path, bytes } of [document.write, ...writes]) await writeFile(join(repository, path), bytes);
    await expect((await open()).release("production", "shop")).rejects.toMatchObject({
      code: "release",
      message: expect.stringContaining("got shop in staging"),
    });
  });

  test("refuses endless metadata", async () => {
    await open();
    await writeFile(join(repository, "metadata/timestamp.json"), Buffer.alloc(100_000, 32));
    await expect(open()).rejects.toMatchObject({
      outcome: "refused",
      message: expect.stringContaining("at most 16384"),
    });
  });

  test("does not follow a release that only the top-level targets name", async () => {
    const state = await readRepository(repository);
    const document = planDocument("production/shop.json", makeRelease(9));
    const targets = { ...state.targets.signed.targets, [document.target.path]: document.target };
    const changed = makeTargets(2, targets, state.targets.signed.delegations, NOW);
    const { writes } = planMetadata({ ...state, targets: changed }, new Map([["targets", changed]]), allSigners, NOW);
    await mkdir(join(repository, "targets/production"));
    for (const { path, bytes } of [document.write, ...writes]) await writeFile(join(repository, path), bytes);
    expect(await (await open()).release("production", "shop")).toBeUndefined();
  });
});

describe("openTrust, roots", () => {
  const renamed = { ...makeFoundation().roles, timestamp: keysOf(signerOf("timestamp", 2)) };
  const bothTimestamps = (role: string) =>
    role === "timestamp" ? [signerOf("timestamp"), signerOf("timestamp", 2)] : allSigners(role);

  test("walks N to N+1, also for a client that was away for two rotations", async () => {
    await open();
    await rotateRoot(publishing({ signers: bothTimestamps }), renamed);
    const roots = [1, 2, 4].map((number) => signerOf("root", number));
    const root = { keys: roots.map(({ key }) => key), threshold: 2 };
    await rotateRoot(publishing({ signers: (role: string) => (role === "root" ? roots : bothTimestamps(role)) }), {
      ...renamed,
      root,
    });
    expect((await open()).fresh).toBe(true);
    expect((await readRepository(repository)).root.signed.version).toBe(3);
  });

  test("refuses a next root with one of the two signatures it needs", async () => {
    await open();
    await rotateRoot(publishing({ signers: bothTimestamps }), renamed);
    const file = join(repository, "metadata/2.root.json");
    const root = JSON.parse(await readFile(file, "utf8"));
    root.signatures = root.signatures.slice(0, 1);
    await writeFile(file, JSON.stringify(root));
    await expect(open()).rejects.toMatchObject({ code: "metadata-signature", details: { role: "root" } });
  });

  test("a publisher with one of the two root keys publishes nothing", async () => {
    const alone = (role: string) => (role === "root" ? [signerOf("root", 1)] : bothTimestamps(role));
    await expect(rotateRoot(publishing({ signers: alone }), renamed)).rejects.toMatchObject({ code: "key-missing" });
    expect(await readdir(join(repository, "metadata"))).not.toContain("2.root.json");
  });

  test("the old timestamp key signs nothing any more once a root has replaced it", async () => {
    await rotateRoot(publishing({ signers: bothTimestamps }), renamed);
    await open();
    const { timestamp } = await readRepository(repository);
    const forged = makeTimestamp(timestamp.signed.version + 1, timestamp.signed.snapshotMeta, NOW);
    addSignature(forged, signerOf("timestamp"));
    await writeFile(join(repository, "metadata/timestamp.json"), bytesOf(forged));
    await expect(open()).rejects.toMatchObject({ code: "metadata-signature", details: { role: "timestamp" } });
  });

  test("refuses a root in which one key holds two roles", async () => {
    const muddled = { ...makeFoundation().roles, timestamp: keysOf(signerOf("snapshot")) };
    const signers = (role: string) =>
      role === "timestamp" ? [signerOf("snapshot"), signerOf("timestamp")] : allSigners(role);
    await rotateRoot(publishing({ signers }), muddled);
    await expect(open()).rejects.toMatchObject({
      code: "key-roles",
      message: expect.stringContaining("expected one role, got snapshot and timestamp"),
    });
  });
});

describe("seedTrust", () => {
  test("is idempotent, refuses another root and what is no root", async () => {
    await seedTrust(client, await readFile(join(repository, "metadata/1.root.json")));
    const other = join(home, "other");
    const foundation = makeFoundation();
    const roles = { ...foundation.roles, timestamp: keysOf(signerOf("timestamp", 7)) };
    const signers = (role: string) => (role === "timestamp" ? [signerOf("timestamp", 7)] : allSigners(role));
    await initRepository({ directory: other, signers, now: NOW }, { ...foundation, roles });
    const root = await readFile(join(other, "metadata/1.root.json"));
    await expect(seedTrust(client, root)).rejects.toMatchObject({ code: "already-seeded" });
    await expect(seedTrust(join(home, "x"), Buffer.from("{}"))).rejects.toMatchObject({ code: "metadata-shape" });
    const unsigned = JSON.stringify({ ...JSON.parse(root.toString()), signatures: [] });
    await expect(seedTrust(join(home, "x"), Buffer.from(unsigned))).rejects.toMatchObject({
      code: "metadata-signature",
    });
  });
});

/** A newer production role signed by the given keys, properly named by snapshot and timestamp. */
async function forgeChannel(signers: readonly ReturnType<typeof signerOf>[]): Promise<void> {
  const state = await readRepository(repository);
  const document = planDocument("production/shop.json", makeRelease(66));
  const version = (state.channels.get("production")?.signed.version ?? 0) + 1;
  const forged = makeTargets(version, { [document.target.path]: document.target }, undefined, NOW);
  for (const signer of signers) addSignature(forged, signer);
  const bytes = bytesOf(forged);
  state.snapshot.signed.meta["production.json"] = metaOf(forged, bytes);
  const { writes } = planMetadata(state, new Map(), allSigners, NOW);
  await mkdir(join(repository, "targets/production"), { recursive: true });
  const production = { path: `metadata/${version}.production.json`, bytes };
  for (const write of [document.write, production, ...writes])
    await writeFile(join(repository, write.path), write.bytes);
}

/** The file with one digit of its first number changed, put back afterwards. */
async function withChanged(file: string, use: () => Promise<void>): Promise<void> {
  const bytes = await readFile(file);
  const changed = Buffer.from(
    bytes.toString().replace(/(?<=[^0-9])[0-9](?=[0-9]*[^0-9])/, (digit) => `${9 - Number(digit)}`),
  );
  await writeFile(file, changed);
  await use();
  await writeFile(file, bytes);
}

async function withServer<T>(directory: string, use: (url: string) => Promise<T>): Promise<T> {
  const server = createServer((request, response) => {
    readFile(join(directory, request.url ?? "")).then(
      (bytes) => response.end(bytes),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
