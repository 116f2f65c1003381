import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openEsp } from "../../../../hostd/system/host/esp.ts";
import { ESP } from "../../../../images/boot/entries.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "host-esp-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

test("what a power cut left of an entry or of the loader's settings is found, and can be taken away; nothing else is", async () => {
  const finished = [ESP.loader, ESP.loaderConf, "loader/keys/auto/.db.1a.tmp", `${ESP.entries}/recovery.efi`];
  const unfinished = [
    `${ESP.entries}/.ostler-0001-1234.efi.1a2b.tmp`,
    `${dirname(ESP.loaderConf)}/.loader.conf.1a2b.tmp`,
  ];
  for (const path of [...finished, ...unfinished]) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), "");
  }
  const esp = openEsp(directory);
  const found = await esp.read();
  expect(found.unfinished).toEqual(unfinished);
  expect(found.files.map(({ name }) => name)).toEqual(["recovery.efi"]);
  for (const path of unfinished) await esp.discard(path);
  const left = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  expect(left.map(({ parentPath, name }) => join(parentPath, name).slice(directory.length + 1)).sort()).toEqual(
    finished.sort(),
  );
});

test("an ESP whose loader was never set up has nothing unfinished there", async () => {
  for (const path of [ESP.loader, `${ESP.entries}/recovery.efi`]) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), "");
  }
  expect(await openEsp(directory).read()).toMatchObject({ unfinished: [], conf: "" });
});
