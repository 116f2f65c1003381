import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { homeOf, initHome, openSigner, readKeys } from "../../../keys/authority.ts";
import { createKeyFile, readKeyFile } from "../../../keys/keyfile.ts";
import { openSealer } from "../../../keys/seal.ts";

const NOW = new Date("2026-11-21T08:00:00Z");

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "ostler-keyfile-"));
  path = join(directory, "tester.json");
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe("a key file", () => {
  test("holds one key of one role, readable by its owner alone", async () => {
    const key = await createKeyFile(path, "tester", NOW);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const file = await readKeyFile(path);
    expect(file).toMatchObject({ role: "tester", key: { keyid: key.keyid, hex: key.hex }, sealed: false });
    expect((await file.open(undefined)).key.hex).toBe(key.hex);
  });

  test("is never overwritten", async () => {
    await createKeyFile(path, "tester", NOW);
    const before = await readFile(path);
    await expect(createKeyFile(path, "tester", NOW)).rejects.toMatchObject({ code: "keys-exist" });
    expect(await readFile(path)).toEqual(before);
  });

  test("is refused when others may read it, with the command that mends it", async () => {
    await createKeyFile(path, "tester", NOW);
    await chmod(path, 0o640);
    await expect(readKeyFile(path)).rejects.toMatchObject({
      code: "key-file",
      hint: expect.stringContaining(`chmod 600 ${path}`),
    });
  });

  test.each([
    ["no JSON", () => "{"],
    ["a keyid that is not the key's", (text: string) => text.replace(/"keyid": "..../, '"keyid": "0000')],
    ["an unknown field", (text: string) => text.replace('"schema": 1', '"schema": 1, "more": 2')],
    ["a seed that is no seed", (text: string) => text.replace(/"seed": "[^"]*"/, '"seed": "xyz"')],
  ])("with %s is refused, naming the file", async (_, change) => {
    await createKeyFile(path, "tester", NOW);
    await writeFile(path, change(await readFile(path, "utf8")));
    await expect(readKeyFile(path)).rejects.toMatchObject({ code: "key-file", message: expect.stringContaining(path) });
  });

  test("whose private key is another's is refused when it is used", async () => {
    await createKeyFile(path, "tester", NOW);
    const text = await readFile(path, "utf8");
    await writeFile(path, text.replace(/"seed": "[^"]*"/, `"seed": "${"1".repeat(64)}"`));
    await expect((await readKeyFile(path)).open(undefined)).rejects.toMatchObject({ code: "key-file" });
  });
});

describe("a sealed key file", () => {
  test("opens with its passphrase alone, records how, and holds no seed", async () => {
    const key = await createKeyFile(path, "tester", NOW, openSealer("correct horse"));
    const file = await readKeyFile(path);
    expect(file.sealed).toBe(true);
    expect((await file.open(openSealer("correct horse"))).key.hex).toBe(key.hex);
    await expect(file.open(openSealer("wrong horse"))).rejects.toMatchObject({
      code: "passphrase-wrong",
      message: `${path}: the passphrase does not open it`,
    });
    await expect(file.open(undefined)).rejects.toMatchObject({ code: "passphrase-missing", outcome: "usage" });
    const { secret } = JSON.parse(await readFile(path, "utf8"));
    expect(secret).toMatchObject({ kind: "sealed", kdf: "scrypt", N: 131072, r: 8, p: 1, box: "nacl.secretbox" });
    expect(secret.seed).toBeUndefined();
  });

  test("that was changed does not open", async () => {
    await createKeyFile(path, "tester", NOW, openSealer("correct horse"));
    const text = await readFile(path, "utf8");
    await writeFile(
      path,
      text.replace(/"sealed": "(.)/, (_, first) => `"sealed": "${first === "A" ? "B" : "A"}`),
    );
    const file = await readKeyFile(path);
    await expect(file.open(openSealer("correct horse"))).rejects.toMatchObject({ code: "passphrase-wrong" });
  });

  test("asks for no more memory than a file may demand", async () => {
    await createKeyFile(path, "tester", NOW, openSealer("correct horse"));
    const text = await readFile(path, "utf8");
    await writeFile(path, text.replace('"N": 131072', '"N": 1073741824'));
    await expect(readKeyFile(path)).rejects.toMatchObject({ code: "key-file" });
  });

  test("an empty passphrase seals nothing", () => {
    expect(() => openSealer("")).toThrow(expect.objectContaining({ code: "passphrase-missing" }));
  });
});

describe("initHome", () => {
  test("makes a key for every role, the repository and the operator's trust", async () => {
    expect(await initHome(homeOf(directory), undefined, NOW)).toEqual(["keys", "repository", "trust"]);
    const keys = await readKeys(homeOf(directory).keys);
    expect(keys.map(({ role }) => role)).toEqual([
      "root",
      "targets",
      "snapshot",
      "timestamp",
      "production",
      "staging",
      "builder",
      "tester",
    ]);
    expect(new Set(keys.map(({ key }) => key.hex)).size).toBe(8);
    expect((await stat(homeOf(directory).keys)).mode & 0o777).toBe(0o700);
  });

  test("a second run is refused with nothing changed", async () => {
    await initHome(homeOf(directory), undefined, NOW);
    const before = await contentOf(directory);
    await expect(initHome(homeOf(directory), undefined, NOW)).rejects.toMatchObject({
      code: "keys-exist",
      outcome: "refused",
    });
    expect(await contentOf(directory)).toEqual(before);
  });

  test("finishes what a killed one began, with the same keys", async () => {
    await initHome(homeOf(directory), undefined, NOW);
    const { keyid } = (await openSigner(homeOf(directory), "tester", undefined)).key;
    await rm(join(directory, "repository"), { recursive: true });
    await rm(join(directory, "trust"), { recursive: true });
    expect(await initHome(homeOf(directory), undefined, NOW)).toEqual(["repository", "trust"]);
    expect((await openSigner(homeOf(directory), "tester", undefined)).key.keyid).toBe(keyid);
  });

  test("does not make another repository beside the trust in a lost one", async () => {
    await initHome(homeOf(directory), undefined, NOW);
    await rm(join(directory, "repository"), { recursive: true });
    await expect(initHome(homeOf(directory), undefined, NOW)).rejects.toMatchObject({ code: "keys-exist" });
    expect(await readdir(directory)).toEqual(["keys", "trust"]);
  });

  test.each([["the keys"], ["the keys and the trust"]])(
    "makes no keys beside a repository that other keys sign, when %s are lost",
    async (lost) => {
      await initHome(homeOf(directory), undefined, NOW);
      for (const part of lost.includes("trust") ? ["keys", "trust"] : ["keys"]) {
        await rm(join(directory, part), { recursive: true });
      }
      const before = await contentOf(directory);
      await expect(initHome(homeOf(directory), undefined, NOW)).rejects.toMatchObject({
        code: "keys-lost",
        outcome: "refused",
        message: expect.stringContaining(join(directory, "repository")),
        hint: expect.stringContaining("backup"),
      });
      expect(await contentOf(directory)).toEqual(before);
    },
  );
});

describe("openSigner", () => {
  test("sends who has no keys to `keys init`, and who has others to `keys list`", async () => {
    const home = homeOf(directory);
    await expect(openSigner(home, "tester", undefined)).rejects.toMatchObject({
      code: "key-missing",
      hint: expect.stringContaining("`ostler keys init`"),
    });
    await initHome(home, undefined, NOW);
    await rm(join(home.keys, "tester.json"));
    await expect(openSigner(home, "tester", undefined)).rejects.toMatchObject({
      code: "key-missing",
      hint: expect.not.stringContaining("keys init"),
    });
  });
});

async function contentOf(root: string): Promise<Record<string, string>> {
  const names = await readdir(root, { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(await Promise.all(files.sort().map(async (file) => [file, await readFile(file, "utf8")])));
}
