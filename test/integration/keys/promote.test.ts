import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openSource } from "../../../effects/source.ts";
import { homeOf, initHome, openSigner, openSigners, readKeys } from "../../../keys/authority.ts";
import { shortKeyid } from "../../../keys/ed25519.ts";
import { appendEnvelopes, envelopesPath, readEnvelopes } from "../../../keys/envelopes.ts";
import { createKeyFile } from "../../../keys/keyfile.ts";
import type { Signer } from "../../../keys/signer.ts";
import { openHeldTrust, openTrust } from "../../../keys/trust.ts";
import { publishRelease, refreshTimestamp } from "../../../keys/tuf/repository.ts";
import { type Digest, hexOf, shortDigest } from "../../../manifests/digest.ts";
import type { Descriptor } from "../../../manifests/image.ts";
import { releaseExample } from "../../../manifests/release.ts";
import { makeRelease, signerOf } from "../../foundation.ts";
import { runOstler } from "../../run-ostler.ts";
import { markOf, provenanceOf, storeSmallImage } from "../../small-image.ts";

let home: string;
let store: string;
let builder: Signer;
let tester: Signer;
let image: Descriptor;
const ostler = (...args: string[]) => runOstler(home, args);

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "ostler-promote-"));
  store = join(home, "store");
  await initHome(homeOf(home), undefined, new Date());
  builder = await openSigner(homeOf(home), "builder", undefined);
  tester = await openSigner(homeOf(home), "tester", undefined);
  image = await storeSmallImage(store, "shop", "one");
});

afterEach(async () => {
  await rm(home, { recursive: true, force: true });
});

describe("ostler promote", () => {
  test("copies a green image bit for bit and releases it, then has nothing to do", async () => {
    await sign(image.digest, provenanceOf(image.digest, builder), markOf(image.digest, tester));
    const first = await ostler("promote", "shop", "--version", "1.2.0", "--set", "greeting=a=b", "--set", "color=red");
    expect(first).toMatchObject({ exitCode: 0, json: { changed: true, release: { sequence: 1, version: "1.2.0" } } });
    for (const name of await readdir(join(store, "blobs/sha256"))) {
      const copy = join(home, "repository/oci/blobs/sha256", name);
      expect(await readFile(copy)).toEqual(await readFile(join(store, "blobs/sha256", name)));
    }
    expect(await readFile(join(home, "repository", envelopesPath(image.digest)))).toEqual(
      await readFile(join(store, envelopesPath(image.digest))),
    );
    expect(await released()).toMatchObject({
      sequence: 1,
      config: { greeting: "a=b", color: "red" },
      image: { digest: image.digest },
    });

    const again = await ostler("promote", `shop@${image.digest}`, "--to", "production");
    expect(again).toMatchObject({ exitCode: 0, json: { changed: false, release: { sequence: 1 } } });
    const { stdout } = await ostler("promote", "shop", "--set", "typo=1", "--no-json");
    expect(stdout).toContain("warning: --set typo: no CONFIG template of the image reads it");
  });

  test("takes new statements about a released image along, though its release stays", async () => {
    await sign(image.digest, provenanceOf(image.digest, builder), markOf(image.digest, tester));
    await ostler("promote", "shop");
    await sign(image.digest, markOf(image.digest, tester, { suites: ["vm"] }));
    expect(await ostler("promote", "shop")).toMatchObject({ exitCode: 0, json: { changed: false } });
    expect(await readEnvelopes(openSource(join(home, "repository")), image.digest)).toHaveLength(3);
  });

  test("mends a damaged blob of the repository, whatever its size, and a missing one", async () => {
    await sign(image.digest, provenanceOf(image.digest, builder), markOf(image.digest, tester));
    await ostler("promote", "shop");
    const blobs = join(home, "repository/oci/blobs/sha256");
    const [one = "", ...rest] = await readdir(blobs);
    await rm(join(blobs, one));
    for (const name of rest) await writeFile(join(blobs, name), Buffer.alloc((await stat(join(blobs, name))).size));
    expect(await ostler("promote", "shop")).toMatchObject({ exitCode: 0, json: { changed: false } });
    expect((await ostler("verify", "shop", "--repository", join(home, "repository"))).exitCode).toBe(0);
  });

  test("raises the sequence, keeps values that were not set again, and takes the version from the sequence", async () => {
    await sign(image.digest, provenanceOf(image.digest, builder), markOf(image.digest, tester));
    await ostler("promote", "shop", "--set", "greeting=hello");
    const next = await storeSmallImage(store, "shop", "two");
    await sign(next.digest, provenanceOf(next.digest, builder), markOf(next.digest, tester));
    await ostler("promote", "shop", "--set", "color=blue");
    expect(await released()).toMatchObject({
      sequence: 2,
      version: "2",
      config: { greeting: "hello", color: "blue" },
      image: { digest: next.digest },
    });
  });

  test.each<[string, string[], (digest: Digest) => object[]]>([
    ["an unmarked image", ["tested"], (digest) => [provenanceOf(digest, builder)]],
    ["a red image", ["tested"], (digest) => [provenanceOf(digest, builder), markOf(digest, tester, { failed: ["x"] })]],
    [
      "an image marked by a stranger",
      ["tested"],
      (digest) => [provenanceOf(digest, builder), markOf(digest, signerOf("eve"))],
    ],
    [
      "an image built by a stranger",
      ["built", "clean"],
      (digest) => [provenanceOf(digest, signerOf("eve")), markOf(digest, tester)],
    ],
    [
      "an image of a dirty tree",
      ["clean"],
      (digest) => [provenanceOf(digest, builder, { clean: false }), markOf(digest, tester)],
    ],
    [
      "an image whose newest mark is red",
      ["tested"],
      (digest) => [provenanceOf(digest, builder), markOf(digest, tester), markOf(digest, tester, { failed: ["x"] })],
    ],
    ["an image without statements", ["built", "tested", "clean"], () => []],
  ])("refuses %s with exit code 3, naming every rule, and publishes nothing", async (_, rules, envelopes) => {
    await sign(image.digest, ...envelopes(image.digest));
    const before = await readFile(join(home, "repository/metadata/timestamp.json"));
    const { exitCode, stderr, json } = await ostler("promote", "shop");
    expect(exitCode).toBe(3);
    for (const rule of rules) expect(stderr).toContain(`\n  ${rule} (`);
    expect(stderr).toContain(shortDigest(image.digest));
    expect(json).toMatchObject({
      error: { code: "image-refused", details: { refusals: rules.map((rule) => ({ rule })) } },
    });
    expect(await readFile(join(home, "repository/metadata/timestamp.json"))).toEqual(before);
    await expect(stat(join(home, "repository/oci"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("refuses an image that starts nothing, which no node takes, and publishes nothing", async () => {
    const { digest } = await storeSmallImage(store, "shop", "empty", "");
    await sign(digest, provenanceOf(digest, builder), markOf(digest, tester));
    expect(await ostler("promote", "shop")).toMatchObject({
      exitCode: 3,
      json: { error: { code: "product-missing" } },
    });
    expect(await released()).toBeUndefined();
  });

  test.each(["", "a\nb", "\x1b[31mx", "a b"])("refuses %j as a version, and copies nothing", async (version) => {
    await sign(image.digest, provenanceOf(image.digest, builder), markOf(image.digest, tester));
    const refused = await ostler("promote", "shop", "--version", version);
    expect(refused).toMatchObject({ exitCode: 2, json: { error: { code: "bad-version" } } });
    await expect(stat(join(home, "repository/oci"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("takes an image whose name another one has by now, by the start of its digest", async () => {
    await sign(image.digest, provenanceOf(image.digest, builder), markOf(image.digest, tester));
    await storeSmallImage(store, "shop", "two");
    expect(await ostler("promote", shortDigest(image.digest))).toMatchObject({ exitCode: 0, json: { changed: true } });
    expect(await released()).toMatchObject({ image: { digest: image.digest } });
  });

  test("refuses a changed layer in the store, naming the file, and publishes nothing", async () => {
    await sign(image.digest, provenanceOf(image.digest, builder), markOf(image.digest, tester));
    const { layers } = JSON.parse(await readFile(join(store, "blobs/sha256", hexOf(image.digest)), "utf8"));
    await writeFile(join(store, "blobs/sha256", hexOf(layers[0].digest)), "0ne");
    const { exitCode, stderr } = await ostler("promote", "shop");
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain(hexOf(layers[0].digest));
    expect(await released()).toBeUndefined();
  });

  test("says which key is missing where the channel's key is elsewhere", async () => {
    await sign(image.digest, provenanceOf(image.digest, builder), markOf(image.digest, tester));
    await rm(join(home, "keys/production.json"));
    const { exitCode, stderr } = await ostler("promote", "shop");
    expect(exitCode).toBe(1);
    expect(stderr).toContain("role production: expected a key file, got none");
  });

  test.each([10, 40, 200])("publishes in a repository that was left alone for %i days", async (days) => {
    await sign(image.digest, provenanceOf(image.digest, builder), markOf(image.digest, tester));
    const old = join(home, "old");
    await initHome(homeOf(old), undefined, new Date(Date.now() - days * 24 * 60 * 60 * 1000));
    if (days > 180) await ostler("keys", "refresh", "--home", old);
    await cp(store, join(old, "store"), { recursive: true });
    const keys = [
      await openSigner(homeOf(old), "builder", undefined),
      await openSigner(homeOf(old), "tester", undefined),
    ];
    const [oldBuilder = builder, oldTester = tester] = keys;
    const envelopes = [provenanceOf(image.digest, oldBuilder), markOf(image.digest, oldTester)];
    await appendEnvelopes(join(old, "store"), image.digest, envelopes);
    expect(await ostler("promote", "shop", "--home", old)).toMatchObject({ exitCode: 0, json: { changed: true } });
  });

  test("publishes in a channel that alone has expired", async () => {
    const old = homeOf(join(home, "old"));
    await initHome(old, undefined, new Date(Date.now() - 190 * 24 * 60 * 60 * 1000));
    await cp(store, join(home, "old/store"), { recursive: true });
    const statements = [
      provenanceOf(image.digest, await openSigner(old, "builder", undefined)),
      markOf(image.digest, await openSigner(old, "tester", undefined)),
    ];
    await appendEnvelopes(join(home, "old/store"), image.digest, statements);
    const signers = await openSigners(await readKeys(old.keys), ["targets", "snapshot", "timestamp"], undefined);
    await refreshTimestamp({ directory: old.repository, signers, now: new Date() });
    const promoted = await ostler("promote", "shop", "--home", join(home, "old"));
    expect(promoted).toMatchObject({ exitCode: 0, json: { changed: true } });
  });

  test("after half a year says which role has expired and what renews it, not that a file is missing", async () => {
    const then = new Date(Date.now() - 190 * 24 * 60 * 60 * 1000);
    const old = homeOf(join(home, "old"));
    await initHome(old, undefined, then);
    await cp(store, join(home, "old/store"), { recursive: true });
    const signers = await openSigners(await readKeys(old.keys), ["production", "snapshot", "timestamp"], undefined);
    await publishRelease({ directory: old.repository, signers, now: then }, makeRelease(1));
    await openTrust({ source: openSource(old.repository), directory: old.trust, now: () => then });
    const { exitCode, stderr } = await ostler("promote", "shop", "--home", join(home, "old"));
    expect(stderr).toMatch(/expected fresh metadata, got: .*role targets: .*expired/);
    expect(stderr).toContain("`ostler keys refresh`");
    expect(exitCode).toBe(1);
  });

  test("leaves a home that holds what it published, whatever becomes of the repository", async () => {
    await sign(image.digest, provenanceOf(image.digest, builder), markOf(image.digest, tester));
    await ostler("promote", "shop");
    const held = await openHeldTrust(homeOf(home).trust);
    expect(await held.release("production", "shop")).toMatchObject({ image: { digest: image.digest } });
  });

  test.each([
    [["promote", "nothing"], 1, "expected an image named nothing"],
    [["promote", "shop", "--to", "moon"], 1, "channel moon: expected staging or production"],
    [["promote", "shop", "--set", "x"], 2, "expected name=value"],
    [["promote", "shop", "--repository", "/nonexistent"], 1, "expected a repository"],
    [["promote", "shop", "--home", "/nonexistent/home"], 1, "/nonexistent/home/store: expected images, got none"],
  ])("%j ends with exit code %i and says what is wrong", async (args, code, message) => {
    const { exitCode, stderr } = await ostler(...args);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain(" at ");
    expect(exitCode).toBe(code);
  });
});

describe("ostler mark", () => {
  test("a person's green makes an image promotable, a later red stops it", async () => {
    await sign(image.digest, provenanceOf(image.digest, builder));
    await ostler("mark", "shop", "--green", "--reason", "clicked through it");
    expect((await ostler("verify", "shop")).exitCode).toBe(0);
    await ostler("mark", "shop", "--red", "--reason", "the checkout is blank");
    const { exitCode, stderr } = await ostler("promote", "shop");
    expect(exitCode).toBe(3);
    expect(stderr).toContain("expected its newest mark to be green, got red");
    await ostler("mark", "shop", "--green", "--reason", "it was the browser");
    expect((await ostler("promote", "shop")).exitCode).toBe(0);
  });

  test("by a key that the policy does not name is told to count nowhere, where a policy is at hand", async () => {
    await rm(join(home, "keys/tester.json"));
    const { keyid } = await createKeyFile(join(home, "keys/tester.json"), "tester", new Date());
    const mark = async (...more: string[]) => await ostler("mark", "shop", "--green", "--reason", "good", ...more);
    expect((await mark("--no-json")).stdout).toContain(
      `not promotable: the policy does not name tester key ${shortKeyid(keyid)}`,
    );
    await rm(join(home, "trust"), { recursive: true });
    expect(await mark()).toMatchObject({ exitCode: 0, json: { keyid, unnamed: [] } });
  });

  test("wants one of green and red, and a reason", async () => {
    expect((await ostler("mark", "shop", "--reason", "x")).exitCode).toBe(2);
    expect((await ostler("mark", "shop", "--green", "--red", "--reason", "x")).exitCode).toBe(2);
    expect((await ostler("mark", "shop", "--green")).exitCode).toBe(2);
  });
});

describe("ostler verify", () => {
  beforeEach(async () => {
    await sign(image.digest, provenanceOf(image.digest, builder), markOf(image.digest, tester));
  });

  test("allows a green image, in the store and in the repository", async () => {
    expect(await ostler("verify", "shop")).toMatchObject({ exitCode: 0, json: { allowed: true, fresh: true } });
    await ostler("promote", "shop");
    const offered = await ostler("verify", "shop", "--repository", join(home, "repository"));
    expect(offered).toMatchObject({ exitCode: 0, json: { allowed: true } });
    expect(offered.json).toMatchObject({ blobs: [{ what: "manifest" }, { what: "config" }, { what: "layer" }] });
  });

  test("refuses a release under another name than its image's, as nodes do", async () => {
    await ostler("promote", "shop");
    const { repository, keys } = homeOf(home);
    const signers = await openSigners(await readKeys(keys), ["production", "snapshot", "timestamp"], undefined);
    const release = {
      ...releaseExample,
      product: "blog",
      sequence: 1,
      image: { digest: image.digest, size: image.size },
    };
    await publishRelease({ directory: repository, signers, now: new Date() }, release);
    const { exitCode, stdout } = await ostler("verify", "blog", "--repository", repository, "--no-json");
    expect(exitCode).toBe(3);
    expect(stdout).toContain("expected an image of blog, got shop");
  });

  test("names the damaged blob of the repository, with exit code 3", async () => {
    await ostler("promote", "shop");
    const repository = join(home, "repository");
    for (const name of await readdir(join(repository, "oci/blobs/sha256"))) {
      const file = join(repository, "oci/blobs/sha256", name);
      const bytes = await readFile(file);
      const changed = Buffer.from(bytes);
      changed[1] = (changed[1] ?? 0) ^ 1;
      await writeFile(file, changed);
      const { exitCode, json } = await ostler("verify", "shop", "--repository", repository);
      expect(exitCode).toBe(3);
      expect(JSON.stringify(json)).toContain(`oci/blobs/sha256/${name}: expected sha256:${name}, got sha256:`);
      await writeFile(file, bytes);
    }
  });

  test("names a changed statement, and explains what would mend it", async () => {
    const file = join(store, envelopesPath(image.digest));
    const [provenance = "", mark = ""] = (await readFile(file, "utf8")).split("\n");
    const envelope = JSON.parse(mark);
    const payload = Buffer.from(envelope.payload, "base64");
    payload[20] = (payload[20] ?? 0) ^ 1;
    await writeFile(file, `${provenance}\n${JSON.stringify({ ...envelope, payload: payload.toString("base64") })}\n`);
    const { exitCode, stdout } = await ostler("verify", "shop", "--explain", "--no-json");
    expect(exitCode).toBe(3);
    expect(stdout).toContain("statement 2, it names tester key");
    expect(stdout).toContain("it was changed or forged");
    expect(stdout).toContain("to mend tested (role tester): make its tests pass");
  });

  test("a line that is no JSON is ignored and shown", async () => {
    const file = join(store, envelopesPath(image.digest));
    await writeFile(file, `not json\n${await readFile(file, "utf8")}`);
    const { exitCode, stdout } = await ostler("verify", "shop", "--explain", "--no-json");
    expect(exitCode).toBe(0);
    expect(stdout).toContain("statement 1: DSSE envelope");
  });

  test("a product without a release is an error", async () => {
    const { exitCode, stderr } = await ostler("verify", "shop", "--repository", join(home, "repository"));
    expect(exitCode).toBe(3);
    expect(stderr).toContain("expected a release of shop in production, got none");
  });
});

describe("ostler keys init", () => {
  test("says of unsealed keys that nothing but a first one seals them", async () => {
    const { stdout } = await ostler("keys", "init", "--no-json", "--home", join(home, "new"));
    expect(stdout).toContain("not sealed: only a first `ostler keys init` with --passphrase-file seals them");
  });
});

describe("ostler keys refresh", () => {
  const daysAgo = (days: number) => new Date(Date.now() - days * 24 * 60 * 60 * 1000);
  const timestamp = async () => await readFile(join(home, "repository/metadata/timestamp.json"), "utf8");

  test("refuses a repository that offers less than this home has seen, and signs nothing", async () => {
    await cp(join(home, "repository"), join(home, "backup"), { recursive: true });
    expect((await ostler("keys", "refresh")).exitCode).toBe(0);
    await rm(join(home, "repository"), { recursive: true });
    await cp(join(home, "backup"), join(home, "repository"), { recursive: true });
    const before = await timestamp();
    const { exitCode, stderr } = await ostler("keys", "refresh");
    expect(exitCode).toBe(3);
    expect(stderr).toContain("metadata/timestamp.json: role timestamp: new timestamp version 1 is less than");
    expect(await timestamp()).toBe(before);
  });

  test.each([
    [20, 0],
    [40, 1],
  ])(
    "with the timestamp's key alone, after %i days, renews the timestamp and names what is due",
    async (days, code) => {
      await rm(home, { recursive: true });
      await initHome(homeOf(home), undefined, daysAgo(days));
      await rm(join(home, "trust"), { recursive: true });
      for (const name of await readdir(join(home, "keys"))) {
        if (name !== "timestamp.json") await rm(join(home, "keys", name));
      }
      const { exitCode, json } = await ostler("keys", "refresh");
      expect(json).toMatchObject({
        due: ["snapshot"],
        roles: expect.arrayContaining([expect.objectContaining({ role: "timestamp", version: 2 })]),
      });
      expect(exitCode).toBe(code);
    },
  );

  test("without a passphrase goes on without the sealed keys that lie beside it", async () => {
    const file = join(home, "keys/root.json");
    const box = { kdf: "scrypt", N: 131072, r: 8, p: 1, box: "nacl.secretbox" };
    const secret = { kind: "sealed", ...box, salt: "AAAA", nonce: "AAAA", sealed: "AAAA" };
    await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, "utf8")), secret }));
    expect(await ostler("keys", "refresh")).toMatchObject({ exitCode: 0, json: { due: [] } });
  });
});

describe("statements of an image", () => {
  test("added by many at once, all stay, and none is there twice", async () => {
    const envelopes = Array.from({ length: 12 }, (_, n) => markOf(image.digest, tester, { passed: [`test ${n}`] }));
    await Promise.all([...envelopes, ...envelopes].map((envelope) => appendEnvelopes(store, image.digest, [envelope])));
    const found = await readEnvelopes(openSource(store), image.digest);
    expect(found).toHaveLength(12);
    for (const envelope of envelopes) expect(found).toContainEqual(envelope);
  });
});

async function sign(digest: Digest, ...envelopes: object[]): Promise<void> {
  await appendEnvelopes(store, digest, envelopes);
}

async function released() {
  const { repository, trust: directory } = homeOf(home);
  const trust = await openTrust({ source: openSource(repository), directory, now: () => new Date() });
  return await trust.release("production", "shop");
}
