import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { run } from "../../effects/process.ts";
import { openEsp } from "../../hostd/system/host/esp.ts";
import { ESP, loaderConf } from "../../images/boot/entries.ts";
import { digestFromHex } from "../../manifests/digest.ts";

// What a power cut leaves of the ESP is what its device holds, so that is what these look at: past the page cache.

const DEVICE = "/dev/vdb";
const SIZE = 300_000;
const ENTRIES = join("/efi", ESP.entries);

beforeAll(async () => {
  const unit = await readFile(
    join(import.meta.dirname, "../../recipes/host/root/usr/lib/systemd/system/efi.mount"),
    "utf8",
  );
  const options = /^Options=(.*)$/m.exec(unit)?.[1] ?? "";
  expect(options).not.toBe("");
  await mkdir("/efi", { recursive: true });
  await run(["mkfs.vfat", "-F", "32", DEVICE]);
  await run(["mount", "-t", "vfat", "-o", options, DEVICE, "/efi"]);
  for (const path of [ESP.entries, dirname(ESP.loader), dirname(ESP.loaderConf)]) {
    await mkdir(join("/efi", path), { recursive: true });
  }
  await writeFile(join("/efi", ESP.loader), "loader");
  await run(["sync"]);
});

/** A file of the ESP as the device has it now; `undefined` where no such name is. */
async function onDevice(path: string): Promise<string | undefined> {
  const image = join(await mkdtemp(join(tmpdir(), "esp-")), "image");
  await run(["dd", `if=${DEVICE}`, `of=${image}`, "bs=1M", "iflag=direct", "status=none"]);
  const read = await run(["mtype", "-i", image, `::${path}`]).catch((error: Error) => error);
  if (!(read instanceof Error)) return read.stdout;
  expect(read.message).toMatch(/not found/);
  return undefined;
}

test("an entry is on the device, whole, as soon as it has a new name", async () => {
  const esp = openEsp("/efi");
  const [from, to] = ["ostler-0002-0123456789ab+2-1.efi", "ostler-0002-0123456789ab.efi"];
  await writeFile(join(ENTRIES, from), "u".repeat(SIZE));
  await run(["sync"]);
  await esp.rename(from, to);
  expect((await onDevice(`${ESP.entries}/${to}`))?.length).toBe(SIZE);
  expect(await onDevice(`${ESP.entries}/${from}`)).toBeUndefined();
});

test("so is one that is installed", async () => {
  const part = join(await mkdtemp(join(tmpdir(), "esp-")), "part");
  await writeFile(part, "u".repeat(SIZE));
  const hex = (await run(["sha256sum", part])).stdout.slice(0, 64);
  const name = "ostler-0003-0123456789ab+3.efi";
  await openEsp("/efi").install(name, [part], { digest: digestFromHex(hex), size: SIZE });
  expect((await onDevice(`${ESP.entries}/${name}`))?.length).toBe(SIZE);
});

test("the default that replaces another is on the device as soon as it is set", async () => {
  const esp = openEsp("/efi");
  await esp.setDefault(2);
  await run(["sync"]);
  await esp.setDefault(3);
  expect(await onDevice(ESP.loaderConf)).toBe(loaderConf({ number: 3 }));
});
