import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { entryName, loaderConf } from "../../images/boot/entries.ts";
import { rootDigestOf, rootListOf } from "../../images/boot/roots.ts";
import { layDown } from "../../images/layer/laydown.ts";
import { type PackedLayer, packLayer } from "../../images/layer/pack.ts";
import { walkDirectory } from "../../images/layer/walk.ts";
import { openStore } from "../../images/store.ts";
import { appendEnvelopes } from "../../keys/envelopes.ts";
import { publishRelease, publishTargets } from "../../keys/tuf/repository.ts";
import { APP_LABEL } from "../../manifests/app.ts";
import { BOOT_ANNOTATION, type Boot } from "../../manifests/boot.ts";
import { type Digest, digestFromHex, hexOf } from "../../manifests/digest.ts";
import { canonicalJson } from "../../manifests/document.ts";
import { type ImageManifest, MEDIA_TYPES, verityOf } from "../../manifests/image.ts";
import type { OperationDocument } from "../../manifests/node.ts";
import type { Release } from "../../manifests/release.ts";
import { allSigners, makeFoundation, signerOf } from "../foundation.ts";
import { markOf, provenanceOf } from "../small-image.ts";
import { type BootResult, endOf, type Firmware, openFirmware, type UkiText } from "./firmware.ts";
import { eventually, type Rig, withRig } from "./rig.ts";

export interface HostVersion {
  version: string;
  image: Digest;
  root: string;
  release: Release;
}

export interface HostVersionOptions {
  version: string;
  /** How its system comes up, and how its own check answers in it. */
  how?: UkiText["how"] | "sick";
  kernel?: string;
  /** A file beside hostd that differs from version to version. */
  beside?: boolean;
  /** Kilobytes that its UKI is longer. */
  padding?: number;
  /** What its recovery system says; without it, it brings none. */
  recovery?: string;
}

/** A node whose system hostd upgrades: a rig on a machine of files, laid down with version 1 as `ostler disk` does. */
export interface HostRig {
  rig: Rig;
  firmware: Firmware;
  first: HostVersion;
  publishHost(options: HostVersionOptions): Promise<HostVersion>;
  /** Puts floors of the host into the signed policy. */
  setFloor(sequence: number): Promise<void>;
  /** Ends everything and powers on; with `cut` also what was not on the disks is lost. Starts hostd unless told not to. */
  reset(options?: { cut?: boolean; start?: boolean }): Promise<BootResult>;
  /** Begins an operation of the host and reboots whenever hostd asks for it, to its end. */
  upgrade(verb: string, body?: Record<string, unknown>): Promise<OperationDocument>;
  /** The same for one that is under way. */
  finish(id: number): Promise<OperationDocument>;
}

/** Milliseconds that an operation may take here, reboots included. */
const LIMIT = 60_000;

export async function withHost(use: (host: HostRig) => Promise<void>, options: { disk?: "ext4" } = {}): Promise<void> {
  await withRig(
    async (rig) => {
      const firmware = openFirmware(rig.directory, rig.state);
      const publish = await openHostPublisher(rig);
      const host: HostRig = {
        rig,
        firmware,
        first: await layDownFirst(rig, firmware, publish),
        publishHost: publish,
        async setFloor(sequence) {
          const { policy } = makeFoundation();
          const { production } = policy.channels;
          if (production === undefined) throw new Error("expected a production channel");
          const channels = { ...policy.channels, production: { ...production, floors: { host: sequence } } };
          const publishing = { directory: rig.publisher.directory, signers: allSigners, now: new Date() };
          await publishTargets(publishing, { policy: { ...policy, channels } });
        },
        async reset({ cut = false, start = true } = {}) {
          if (cut) rig.disk?.cutPower();
          await rig.kill();
          if (cut) await firmware.cutPower();
          else await firmware.powerOff();
          await rig.reboot();
          if (cut) await rig.disk?.repair();
          const booted = firmware.boot();
          if (start) await rig.start();
          return booted;
        },
        async upgrade(verb, body = {}) {
          const begun = await rig.client.begin("host", verb, body);
          return await host.finish(begun.id);
        },
        async finish(id) {
          for (const end = Date.now() + LIMIT; Date.now() < end; await delay(50)) {
            if (firmware.rebootAsked()) {
              await rig.stop();
              await host.reset();
            }
            const operation = await rig.client.operation(id);
            if (operation.finished !== undefined) return operation;
          }
          throw new Error(`operation ${id} did not end: ${JSON.stringify(await rig.client.operation(id))}`);
        },
      };
      firmware.boot();
      await rig.start();
      await eventually(
        () => rig.client.status(),
        (status) => status.host?.product === "host" && status.apps[0]?.operations.length === 0,
      );
      await use(host);
    },
    { ...options, machine: true },
  );
}

async function openHostPublisher(rig: Rig): Promise<(options: HostVersionOptions) => Promise<HostVersion>> {
  const repository = rig.publisher.directory;
  const store = await openStore(join(repository, "oci"));
  const pack = async (name: string, files: Record<string, string>): Promise<PackedLayer> => {
    const tree = join(rig.directory, "host-trees", name);
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(tree, path, ".."), { recursive: true });
      writeFileSync(join(tree, path), text);
    }
    return await packLayer(store, await walkDirectory(tree), { section: name === "base" ? "base" : "deploy" });
  };
  const base = await pack("base", {
    "usr/bin/sshd": "sshd",
    "etc/ssh/sshd_config": "Port 22\n",
    "etc/motd": "hello\n",
  });
  let sequence = 0;

  return async ({ version, how = "good", kernel = "kernel 6.1", beside = false, padding = 0, recovery }) => {
    sequence += 1;
    const layer = await pack(version, {
      "usr/lib/hostd/version": version,
      "usr/share/doc/host": beside ? version : "the same",
    });
    const layers = [base, layer];
    const command = [how === "sick" ? "/bin/false" : "/bin/true"];
    const health = [{ kind: "exec", command, interval: 50, timeout: 2_000, within: 400, stable: 100 }];
    const config = await store.write(
      Buffer.from(
        canonicalJson({
          architecture: process.arch === "x64" ? "amd64" : process.arch,
          os: "linux",
          config: {
            Labels: {
              [APP_LABEL]: canonicalJson({
                schema: 1,
                name: "host",
                health,
                config: [{ path: "/etc/issue.d/host", template: `${version} {{ greeting }}\n`, unit: "issue.service" }],
              }),
            },
          },
          rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
        }),
      ),
    );
    const plain: ImageManifest = {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.manifest,
      config: { mediaType: MEDIA_TYPES.config, ...config },
      layers: layers.map(({ descriptor }) => descriptor),
    };
    const root = rootDigestOf(rootListOf(plain));
    const text = { root, how: how === "sick" ? "good" : how };
    const lines = [kernel, ...Array.from({ length: padding + 1 }, () => "x".repeat(1023))];
    const pieces = [`${JSON.stringify(text)}\n`, `${kernel}\n`, `${lines.slice(1).join("\n")}\n`, `${endOf(lines)}\n`];
    const parts = await Promise.all(pieces.map((piece) => store.write(Buffer.from(piece))));
    const [, kernelPart, initrdPart] = parts;
    if (!kernelPart || !initrdPart) throw new Error("expected all parts");
    const whole = Buffer.from(pieces.join(""));
    const second = recovery === undefined ? undefined : await store.write(Buffer.from(recovery));
    const boot: Boot = {
      schema: 1,
      root,
      uki: { digest: digestFromHex(createHash("sha256").update(whole).digest("hex")), size: whole.length },
      parts,
      ...(second === undefined ? {} : { recovery: { uki: second, parts: [second] } }),
      kernel,
      kernelDigest: kernelPart.digest,
      initrdDigest: initrdPart.digest,
      cmdline: "console=ttyS0",
    };
    const manifest = { ...plain, annotations: { [BOOT_ANNOTATION]: canonicalJson(boot) } };
    const { digest: image, size } = await store.write(Buffer.from(canonicalJson(manifest)));
    const envelopes = [provenanceOf(image, signerOf("builder")), markOf(image, signerOf("tester"))];
    await appendEnvelopes(repository, image, envelopes);
    const release: Release = {
      schema: 1,
      product: "host",
      channel: "production",
      sequence,
      version,
      image: { digest: image, size },
      config: { greeting: "hello" },
      created: new Date().toISOString(),
    };
    await publishRelease({ directory: repository, signers: allSigners, now: new Date() }, release);
    return { version, image, root, release };
  };
}

/** What `ostler disk` leaves on the disk of a node that was never booted. */
async function layDownFirst(
  rig: Rig,
  firmware: Firmware,
  publish: (options: HostVersionOptions) => Promise<HostVersion>,
): Promise<HostVersion> {
  const first = await publish({ version: "1.0.0" });
  const blob = (digest: Digest) => join(rig.publisher.directory, "oci/blobs/sha256", hexOf(digest));
  const text = (digest: Digest) => readFileSync(blob(digest), "utf8");
  const manifestText = text(first.image);
  const manifest = JSON.parse(manifestText) as ImageManifest;
  const config = text(manifest.config.digest);
  const host = join(rig.state, "host");
  for (const place of [
    "roots",
    "seed",
    "identity/etc",
    `etc/${first.root}/upper`,
    `etc/${first.root}/declared`,
    `etc/${first.root}/work`,
  ]) {
    mkdirSync(join(host, place), { recursive: true });
  }
  mkdirSync(join(rig.state, "layers"));
  const { diff_ids: diffIds } = JSON.parse(config).rootfs as { diff_ids: Digest[] };
  for (const [index, layer] of manifest.layers.entries()) {
    const file = join(rig.state, "layers", `${verityOf(layer).root}.erofs`);
    const diffId = diffIds[index];
    if (diffId !== undefined && !existsSync(file)) await layDown(blob(layer.digest), layer, diffId, file);
  }
  writeFileSync(join(host, "seed/manifest.json"), manifestText);
  writeFileSync(join(host, "seed/config.json"), config);
  writeFileSync(join(host, "seed/release.json"), JSON.stringify(first.release));
  writeFileSync(join(host, "roots", first.root), rootListOf(manifest));
  writeFileSync(join(host, "good"), `${first.root}\n`);
  writeFileSync(join(host, "identity/etc/hostname"), "node-1\n");
  const boot = JSON.parse(manifest.annotations?.[BOOT_ANNOTATION] ?? "{}") as Boot;
  const uki = boot.parts.map(({ digest }) => readFileSync(blob(digest)));
  mkdirSync(join(firmware.esp, "loader"));
  writeFileSync(join(firmware.esp, "EFI/Linux", entryName({ number: 1, root: first.root })), Buffer.concat(uki));
  writeFileSync(join(firmware.esp, "loader/loader.conf"), loaderConf({ number: 1 }));
  execFileSync("sync");
  return first;
}
