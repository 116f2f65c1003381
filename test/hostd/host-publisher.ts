import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { type DataContent, type DiskFile, dataFiles, espFiles } from "../../builder/disk/files.ts";
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
import { identitySchema } from "../../manifests/identity.ts";
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
  /** The version that was published before whose layers it has. */
  layers?: string;
  /** A file beside hostd that differs from version to version. */
  beside?: boolean;
  /** What it makes of its config template beside the declared greeting; its version where none is given, null: it has none. */
  issue?: string | null;
  /** Directory with the hostd that it has beside its version. */
  program?: string;
  /** Whether its hostd starts where it alone is exchanged. */
  hostd?: UkiText["hostd"];
  /** Kilobytes that its UKI is longer. */
  padding?: number;
  /** What its recovery system says; without it, it brings none. */
  recovery?: string;
}

const ISSUE = "/etc/issue.d/host";

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
  const packed = new Map<string, PackedLayer>();
  let sequence = 0;

  return async ({
    version,
    how = "good",
    kernel = "kernel 6.1",
    layers: before,
    beside = false,
    padding = 0,
    issue = version,
    hostd = "starts",
    program,
    recovery,
  }) => {
    sequence += 1;
    const files = { "usr/lib/hostd/version": version, "usr/share/doc/host": beside ? version : "the same" };
    const layer = packed.get(before ?? "") ?? (await pack(version, files, program));
    packed.set(version, layer);
    const layers = [base, layer];
    const command = [how === "sick" ? "/bin/false" : "/bin/true"];
    // what is sick is so at once; both may be slow to say so on a busy machine
    const within = how === "sick" ? 400 : 20_000;
    const health = [{ kind: "exec", command, interval: 50, timeout: 20_000, within, stable: 100 }];
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
                config:
                  issue === null ? [] : [{ path: ISSUE, template: `${issue} {{ greeting }}\n`, unit: "issue.service" }],
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
export async function layDownFirst({ repository, state, esp }: HostPlaces, publish: PublishHost): Promise<HostVersion> {
  const first = await publish({ version: "1.0.0" });
  const blob = (digest: Digest) => join(repository, "oci/blobs/sha256", hexOf(digest));
  const manifestBytes = readFileSync(blob(first.image));
  const manifest = JSON.parse(manifestBytes.toString()) as ImageManifest;
  const config = readFileSync(blob(manifest.config.digest));
  const boot = JSON.parse(manifest.annotations?.[BOOT_ANNOTATION] ?? "{}") as Boot;
  const content: DataContent = {
    rootList: rootListOf(manifest),
    manifest: manifestBytes,
    config,
    release: first.release,
    identity: identitySchema.parse({ schema: 1, hostName: "node-1" }),
  };
  for (const file of dataFiles(boot, content)) {
    const path = relative("var/lib/hostd", file.path);
    if (!path.startsWith("..")) putFile(join(state, path), file, blob);
  }
  for (const file of espFiles(boot, Buffer.from("MZ"))) putFile(join(esp, file.path), file, blob);
  for (const layer of manifest.layers) {
    const file = join(state, "layers", `${verityOf(layer).root}.erofs`);
    if (!existsSync(file)) await layDown(blob(layer.digest), layer, file);
  }
  execFileSync("sync");
  return first;
}

function putFile(path: string, file: DiskFile, blob: (digest: Digest) => string): void {
  mkdirSync(file.kind === "directory" ? path : dirname(path), { recursive: true });
  if (file.kind === "bytes") writeFileSync(path, file.bytes, { mode: file.mode });
  if (file.kind === "link") symlinkSync(file.target, path);
  if (file.kind === "boot") {
    writeFileSync(path, Buffer.concat(file.file.parts.map(({ digest }) => readFileSync(blob(digest)))));
  }
}
