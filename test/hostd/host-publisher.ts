import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { entryName, loaderConf } from "../../images/boot/entries.ts";
import { rootDigestOf, rootListOf } from "../../images/boot/roots.ts";
import { layDown } from "../../images/layer/laydown.ts";
import { type PackedLayer, packLayer } from "../../images/layer/pack.ts";
import { walkDirectory } from "../../images/layer/walk.ts";
import { openStore } from "../../images/store.ts";
import { appendEnvelopes } from "../../keys/envelopes.ts";
import { publishRelease } from "../../keys/tuf/repository.ts";
import { APP_LABEL } from "../../manifests/app.ts";
import { BOOT_ANNOTATION, type Boot } from "../../manifests/boot.ts";
import { type Digest, digestFromHex, hexOf } from "../../manifests/digest.ts";
import { canonicalJson } from "../../manifests/document.ts";
import { type ImageManifest, MEDIA_TYPES, verityOf } from "../../manifests/image.ts";
import type { Release } from "../../manifests/release.ts";
import { allSigners, signerOf } from "../foundation.ts";
import { markOf, provenanceOf } from "../small-image.ts";
import { endOf, type UkiText } from "./firmware.ts";

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
  /** What it makes of its config template beside the declared greeting; its version where none is given. */
  issue?: string;
  /** Directory with the hostd that it has beside its version. */
  program?: string;
  /** Whether its hostd starts where it alone is exchanged. */
  hostd?: UkiText["hostd"];
  /** Kilobytes that its UKI is longer. */
  padding?: number;
  /** What its recovery system says; without it, it brings none. */
  recovery?: string;
}

export type PublishHost = (options: HostVersionOptions) => Promise<HostVersion>;

/** Where the first disk of a node is laid down. */
export interface HostPlaces {
  repository: string;
  state: string;
  esp: string;
}

/** Publishes small host images into a repository; `work` is for their trees. */
export async function openHostPublisher(repository: string, work: string): Promise<PublishHost> {
  const store = await openStore(join(repository, "oci"));
  const pack = async (name: string, files: Record<string, string>, program?: string): Promise<PackedLayer> => {
    const tree = join(work, "host-trees", name);
    if (program !== undefined) cpSync(program, join(tree, "usr/lib/hostd"), { recursive: true });
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

  return async ({
    version,
    how = "good",
    kernel = "kernel 6.1",
    beside = false,
    padding = 0,
    issue = version,
    hostd = "starts",
    program,
    recovery,
  }) => {
    sequence += 1;
    const files = { "usr/lib/hostd/version": version, "usr/share/doc/host": beside ? version : "the same" };
    const layer = await pack(version, files, program);
    const layers = [base, layer];
    const command = [how === "sick" ? "/bin/false" : "/bin/true"];
    // what is sick is so at once; what is good may be slow to say so on a busy machine
    const within = how === "sick" ? 400 : 20_000;
    const health = [{ kind: "exec", command, interval: 50, timeout: within, within, stable: 100 }];
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
                config: [{ path: "/etc/issue.d/host", template: `${issue} {{ greeting }}\n`, unit: "issue.service" }],
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
    const text: UkiText = { root, how: how === "sick" ? "good" : how, hostd };
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

/** What `ostler disk` leaves on the disk of a node that was never booted, with its first version. */
export async function layDownFirst(
  { repository, state, esp }: HostPlaces,
  publish: PublishHost,
  issue = "1.0.0",
): Promise<HostVersion> {
  const first = await publish({ version: "1.0.0" });
  const blob = (digest: Digest) => join(repository, "oci/blobs/sha256", hexOf(digest));
  const text = (digest: Digest) => readFileSync(blob(digest), "utf8");
  const manifestText = text(first.image);
  const manifest = JSON.parse(manifestText) as ImageManifest;
  const config = text(manifest.config.digest);
  const host = join(state, "host");
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
  mkdirSync(join(state, "layers"), { recursive: true });
  const { diff_ids: diffIds } = JSON.parse(config).rootfs as { diff_ids: Digest[] };
  for (const [index, layer] of manifest.layers.entries()) {
    const file = join(state, "layers", `${verityOf(layer).root}.erofs`);
    const diffId = diffIds[index];
    if (diffId !== undefined && !existsSync(file)) await layDown(blob(layer.digest), layer, diffId, file);
  }
  writeFileSync(join(host, "seed/manifest.json"), manifestText);
  writeFileSync(join(host, "seed/config.json"), config);
  writeFileSync(join(host, "seed/release.json"), JSON.stringify(first.release));
  writeFileSync(join(host, "roots", first.root), rootListOf(manifest));
  writeFileSync(join(host, "good"), `${first.root}\n`);
  writeFileSync(join(host, "identity/etc/hostname"), "node-1\n");
  const declared = join(host, "etc", first.root, "declared");
  mkdirSync(join(declared, "issue.d"));
  writeFileSync(join(declared, "issue.d/host"), `${issue} hello\n`);
  const boot = JSON.parse(manifest.annotations?.[BOOT_ANNOTATION] ?? "{}") as Boot;
  const uki = boot.parts.map(({ digest }) => readFileSync(blob(digest)));
  mkdirSync(join(esp, "loader"), { recursive: true });
  writeFileSync(join(esp, "EFI/Linux", entryName({ number: 1, root: first.root })), Buffer.concat(uki));
  writeFileSync(join(esp, "loader/loader.conf"), loaderConf({ number: 1 }));
  execFileSync("sync");
  return first;
}
