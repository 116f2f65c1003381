import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { dataFiles, espFiles } from "../../../../builder/disk/files.ts";
import { writeFiles } from "../../../../builder/disk/write-files.ts";
import { defaultOf, entryName } from "../../../../images/boot/entries.ts";
import { rootDigestOf, rootListOf } from "../../../../images/boot/roots.ts";
import { layDown } from "../../../../images/layer/laydown.ts";
import { openStore } from "../../../../images/store.ts";
import { verifyErofs } from "../../../../images/verity.ts";
import { homeOf, initHome, openSigner } from "../../../../keys/authority.ts";
import { appendEnvelopes, envelopesPath } from "../../../../keys/envelopes.ts";
import { BOOT_ANNOTATION } from "../../../../manifests/boot.ts";
import { canonicalJson } from "../../../../manifests/document.ts";
import { identityExample } from "../../../../manifests/identity.ts";
import { type ImageManifest, verityOf } from "../../../../manifests/image.ts";
import { type HostImage, storeHostImage } from "../../../host-image.ts";
import { describeWith } from "../../../needs.ts";
import { runOstler } from "../../../run-ostler.ts";
import { markOf, provenanceOf } from "../../../small-image.ts";

const MAIN = join(import.meta.dirname, "../../../../hostd/main.ts");

describeWith({ root: true, programs: ["setpriv"] }, "hostd recover", () => {
  let directory: string;
  let host: HostImage;
  const at = (name: string) => join(directory, name);
  const state = (name = "") => at(join("disk/data/var/lib/hostd", name));
  const layerFile = (index: number) => state(`layers/${verityOf(host.manifest.layers[index] as never).root}.erofs`);
  const ukiFile = () => at(join("disk/esp/EFI/Linux", entryName({ number: 1, root: host.boot.root })));
  const remove = (names: readonly string[]) => {
    for (const name of names) rmSync(state(name), { recursive: true });
  };
  const repository = () => at("repository");

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "ostler-recover-"));
    await initHome(homeOf(directory), undefined, new Date());
    host = await storeHostImage(at("store"), at("tree"));
    const { digest } = host.descriptor;
    const [builder, tester] = [
      await openSigner(homeOf(directory), "builder", undefined),
      await openSigner(homeOf(directory), "tester", undefined),
    ];
    await appendEnvelopes(at("store"), digest, [provenanceOf(digest, builder), markOf(digest, tester)]);
    const promoted = await runOstler(directory, ["promote", "host"]);
    expect(promoted.stderr).not.toMatch(/error/);
    mkdirSync(at("whole"));
    await layDownDisk(at("whole"));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  beforeEach(async () => {
    rmSync(at("disk"), { recursive: true, force: true });
    await cp(at("whole"), at("disk"), { recursive: true, verbatimSymlinks: true });
    mkdirSync(state("data/shop"), { recursive: true });
    writeFileSync(state("data/shop/orders"), "kept");
  });

  test("boots what was last good where every byte of it is there", async () => {
    expect(await recover()).toMatchObject({ exitCode: 0, json: { restored: host.boot.root } });
    await expectBootable();
  });

  test("refuses while the host that lives on the disk runs", async () => {
    mkdirSync(at("machine/proc"), { recursive: true });
    writeFileSync(at("machine/proc/cmdline"), `ostler.root=${host.boot.root} panic=1\n`);
    expect(await recover("--machine", at("machine"))).toMatchObject({
      exitCode: 3,
      json: { error: { code: "not-recovery" } },
    });
  });

  test("gives a list back that is nothing but the layers' roots, and a default that is gone", async () => {
    rmSync(state(`host/roots/${host.boot.root}`));
    rmSync(at("disk/esp/loader/loader.conf"));
    rmSync(state("host/good"));
    expect(await recover()).toMatchObject({ exitCode: 0, json: { restored: host.boot.root } });
    await expectBootable();
  });

  test("says that nothing can be booted where a layer has a flipped bit, and changes nothing", async () => {
    flipBit(layerFile(0));
    const before = readFileSync(at("disk/esp/loader/loader.conf"), "utf8");
    const ended = await recover();
    expect(ended).toMatchObject({ exitCode: 1, json: { candidates: [{ root: host.boot.root }] } });
    expect(ended.stderr).toMatch(/expected the signed bytes in data block/);
    expect(readFileSync(at("disk/esp/loader/loader.conf"), "utf8")).toBe(before);
  });

  test.each([
    ["a layer with a flipped bit", () => flipBit(layerFile(0))],
    ["a UKI with a flipped bit", () => flipBit(ukiFile())],
    ["all layers and lists", () => remove(["layers", "host/roots"])],
    ["an ESP with nothing but its loader", () => rmSync(at("disk/esp/EFI/Linux"), { recursive: true })],
    ["all but the apps' data", () => remove(readdirSync(state()).filter((name) => name !== "data"))],
  ])("lays down again what was pushed, after the loss of %s, and keeps the data", async (_what, destroy) => {
    destroy();
    if (_what.startsWith("an ESP")) mkdirSync(at("disk/esp/EFI/Linux"));
    const kept = _what === "a layer with a flipped bit" ? statSync(layerFile(1)).ino : undefined;
    const ended = await recover(repository(), "--root", at("trust/root.json"));
    expect(ended.stderr).toMatch(/host .*, sequence 1: verified/);
    expect(ended).toMatchObject({ exitCode: 0, json: { restored: host.boot.root, sequence: 1 } });
    await expectBootable();
    expect(JSON.parse(readFileSync(state("host/seed/release.json"), "utf8"))).toMatchObject({
      product: "host",
      sequence: 1,
    });
    if (kept !== undefined) expect(statSync(layerFile(1)).ino).toBe(kept);
  });

  test("refuses an image that nobody marked, whoever pushed it, and a repository of other keys", async () => {
    await cp(repository(), at("forged"), { recursive: true });
    rmSync(join(at("forged"), envelopesPath(host.descriptor.digest)));
    flipBit(layerFile(0));
    const unmarked = await recover(at("forged"), "--root", at("trust/root.json"));
    expect(unmarked).toMatchObject({ exitCode: 3, json: { error: { code: "not-allowed" } } });
    const nothing = await recover(repository(), "--root", at("trust/root.json"), "--product", "other");
    expect(nothing).toMatchObject({ exitCode: 3, json: { error: { code: "no-release" } } });
    const other = await mkdtemp(join(tmpdir(), "ostler-recover-other-"));
    try {
      await initHome(homeOf(other), undefined, new Date());
      const foreign = await recover(join(other, "repository"), "--root", at("trust/root.json"));
      expect(foreign.exitCode).not.toBe(0);
      expect(foreign.stderr).toMatch(/role timestamp: expected enough signatures/);
    } finally {
      await rm(other, { recursive: true, force: true });
    }
  });

  test("gives the last good version its UKI back by the journal, where the disk was laid down with another one", async () => {
    rmSync(state("host/seed"), { recursive: true });
    rmSync(state(`host/roots/${host.boot.root}`));
    flipBit(ukiFile());
    keepInJournal(host.manifest);
    expect(await recover()).toMatchObject({ exitCode: 0, json: { restored: host.boot.root } });
    await expectBootable();

    flipBit(ukiFile());
    rmSync(state(`host/parts/${host.boot.parts[0]?.digest.slice("sha256:".length)}`));
    const ended = await recover();
    expect(ended).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/its UKI is damaged or gone/) });
  });

  test("goes back to an older version rather than to one that this node took back", async () => {
    const [first, ...rest] = host.manifest.layers;
    const [taken, older] = [withLayers(rest), withLayers([...rest, ...rest])];
    for (const [index, version] of [older, taken].entries()) {
      writeFileSync(state(`host/roots/${version.root}`), version.list);
      writeFileSync(join(dirname(ukiFile()), entryName({ number: 2 + index, root: version.root })), host.uki);
    }
    flipBit(layerFile(host.manifest.layers.indexOf(first as never)));
    expect(await recover()).toMatchObject({ exitCode: 0, json: { restored: taken.root } });
    writeFileSync(state("host/good"), `${host.boot.root}\n`);
    keepInJournal(taken.manifest, "it lost mail");
    const ended = await recover();
    expect(ended).toMatchObject({ exitCode: 0, json: { restored: older.root } });
    expect(ended.stderr).toMatch(/quarantined on this node: it lost mail/);
  });

  test("refuses what this node took back before; a journal that cannot be read refuses nothing", async () => {
    rmSync(state("layers"), { recursive: true });
    keepInJournal(host.manifest, "it panicked");
    const refused = await recover(repository(), "--root", at("trust/root.json"));
    expect(refused).toMatchObject({ exitCode: 3, stderr: expect.stringMatching(/quarantined.*it panicked/s) });
    writeFileSync(state("hostd.db"), "no database");
    expect(await recover(repository(), "--root", at("trust/root.json"))).toMatchObject({ exitCode: 0 });
    rmSync(state("hostd.db"));
  });

  test("killed at any moment it goes on where it was, and never names a default that could not be booted", async () => {
    rmSync(state("layers"), { recursive: true });
    rmSync(ukiFile());
    for (let wait = 200; wait <= 1_400; wait += 150) {
      const child = start([repository(), "--root", at("trust/root.json")]);
      const closed = new Promise((resolve) => child.once("close", resolve)); // a quick machine is done before the kill
      await delay(wait);
      child.kill("SIGKILL");
      await closed;
      const conf = readFileSync(at("disk/esp/loader/loader.conf"), "utf8");
      expect(defaultOf(conf)).toBe(1);
      const names = readdirSync(at("disk/esp/EFI/Linux")).filter((name) => !name.startsWith("."));
      for (const name of names.filter((name) => name !== "recovery.efi")) {
        expect(readFileSync(join(at("disk/esp/EFI/Linux"), name))).toEqual(host.uki); // whole or not there
      }
    }
    expect(await recover(repository(), "--root", at("trust/root.json"))).toMatchObject({ exitCode: 0 });
    await expectBootable();
    expect(readdirSync(state("layers")).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  /** The journal of a node on which a version was good, and was taken back for a reason. */
  function keepInJournal(manifest: ImageManifest, reason?: string): void {
    const database = new DatabaseSync(state("hostd.db"));
    database.exec(
      `CREATE TABLE slots (app TEXT, image TEXT, manifest TEXT, last_good_at TEXT, staged_order INTEGER);
       CREATE TABLE quarantine (app TEXT, image TEXT, reason TEXT, lifted_at TEXT)`,
    );
    const { digest } = host.descriptor;
    const slot = "INSERT INTO slots VALUES ('host', ?, ?, '2026-11-28', 1)";
    database.prepare(slot).run(digest, JSON.stringify(manifest));
    const quarantine = "INSERT INTO quarantine (app, image, reason) VALUES ('host', ?, ?)";
    if (reason !== undefined) database.prepare(quarantine).run(digest, reason);
    database.close();
  }

  /** Another version of the same bytes: so many of the host's layers. */
  function withLayers(layers: ImageManifest["layers"]) {
    const list = rootListOf({ layers });
    const root = rootDigestOf(list);
    const annotations = { [BOOT_ANNOTATION]: canonicalJson({ ...host.boot, root }) };
    return { root, list, manifest: { ...host.manifest, layers, annotations } };
  }

  /** What a disk of the image holds, as directories. */
  async function layDownDisk(place: string): Promise<void> {
    const store = await openStore(at("store"));
    const config = await store.read(host.manifest.config.digest, 1e6);
    const manifest = await store.read(host.descriptor.digest, 1e6);
    const content = {
      rootList: rootListOf(host.manifest),
      manifest,
      config,
      release: undefined,
      identity: identityExample,
    };
    await writeFiles(join(place, "esp"), espFiles(host.boot, host.loader), store);
    await writeFiles(join(place, "data"), dataFiles(host.boot, content), store);
    for (const layer of host.manifest.layers) {
      const file = join(place, "data/var/lib/hostd/layers", `${verityOf(layer).root}.erofs`);
      await layDown(store.pathOf(layer.digest), layer, file);
    }
    mkdirSync(join(place, "data/var/lib/hostd/trust"), { recursive: true });
    copyFileSync(at("trust/root.json"), join(place, "data/var/lib/hostd/trust/root.json"));
  }

  async function expectBootable(): Promise<void> {
    expect(readFileSync(state("host/good"), "utf8")).toBe(`${host.boot.root}\n`);
    expect(readFileSync(state(`host/roots/${host.boot.root}`), "utf8")).toBe(rootListOf(host.manifest));
    for (const [index, layer] of host.manifest.layers.entries()) await verifyErofs(layerFile(index), verityOf(layer));
    const number = defaultOf(readFileSync(at("disk/esp/loader/loader.conf"), "utf8"));
    const entry = entryName({ number: number ?? 0, root: host.boot.root });
    expect(readFileSync(join(at("disk/esp/EFI/Linux"), entry))).toEqual(host.uki);
    expect(readFileSync(state("data/shop/orders"), "utf8")).toBe("kept");
  }

  function start(args: readonly string[]): ChildProcess {
    const places = ["--state", state(), "--efi", at("disk/esp"), "--json"];
    mkdirSync(at("nowhere"), { recursive: true });
    const machine = args.includes("--machine") ? [] : ["--machine", at("nowhere")];
    return spawn(process.execPath, [MAIN, "recover", ...args, ...places, ...machine], {
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  async function recover(...args: string[]) {
    const child = start(args);
    let [stdout, stderr] = ["", ""];
    child.stdout?.on("data", (chunk) => {
      stdout += chunk;
    });
    child.stderr?.on("data", (chunk) => {
      stderr += chunk;
    });
    const exitCode = await new Promise<number | null>((resolve) => child.once("close", resolve));
    return { exitCode, stderr, json: stdout.startsWith("{") ? JSON.parse(stdout) : undefined };
  }
});

function flipBit(file: string): void {
  const bytes = readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(5000) ^ 1, 5000);
  writeFileSync(file, bytes);
}
