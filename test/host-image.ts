import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { rootDigestOf, rootListOf } from "../images/boot/roots.ts";
import { packLayer } from "../images/layer/pack.ts";
import { walkDirectory } from "../images/layer/walk.ts";
import { openStore, type Store } from "../images/store.ts";
import { APP_LABEL } from "../manifests/app.ts";
import { BOOT_ANNOTATION, type Boot, type BootBlob } from "../manifests/boot.ts";
import { digestFromHex } from "../manifests/digest.ts";
import { canonicalJson } from "../manifests/document.ts";
import { type Descriptor, type ImageManifest, MEDIA_TYPES } from "../manifests/image.ts";

export interface HostImage {
  descriptor: Descriptor;
  manifest: ImageManifest;
  boot: Boot;
  uki: Buffer;
  loader: Buffer;
}

/**
 * An image that has all that a host image has but a kernel that would run: two layers, a loader, a UKI in parts, a
 * recovery that shares one. `change` damages the boot document.
 */
export async function storeHostImage(
  directory: string,
  work: string,
  options: { name?: string; change?: (boot: Boot) => Boot; withoutLoader?: boolean } = {},
): Promise<HostImage> {
  const store = await openStore(directory);
  const loader = Buffer.from(`MZ a loader ${"x".repeat(5000)}`);
  const base: Record<string, string | Buffer> = { "usr/bin/true": "true", "etc/os-release": "ID=debian\n" };
  if (options.withoutLoader !== true) base["usr/lib/systemd/boot/efi/systemd-bootx64.efi"] = loader;
  const layers = [
    await packFiles(store, join(work, "base"), base, "base"),
    await packFiles(store, join(work, "deploy"), { "usr/lib/hostd/hostd.mjs": "export {};\n".repeat(5000) }, "deploy"),
  ];
  const config = await store.write(
    Buffer.from(
      canonicalJson({
        architecture: "amd64",
        os: "linux",
        config: { Labels: { [APP_LABEL]: canonicalJson({ schema: 1, name: options.name ?? "host" }) } },
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
  const pieces = ["head and command line", "the kernel ".repeat(20_000), "the initrd ".repeat(30_000)];
  const own = ["another head", "another initrd ".repeat(20_000)];
  const [head, kernel, initrd] = await writeParts(store, pieces);
  const [recoveryHead, recoveryInitrd] = await writeParts(store, own);
  if (!head || !kernel || !initrd || !recoveryHead || !recoveryInitrd) throw new Error("expected all parts");
  const [kernelText = ""] = pieces.slice(1);
  const boot: Boot = {
    schema: 1,
    root: rootDigestOf(rootListOf(plain)),
    uki: wholeOf(pieces),
    parts: [head, kernel, initrd],
    kernel: "6.1.0-test",
    kernelDigest: kernel.digest,
    initrdDigest: initrd.digest,
    cmdline: "console=ttyS0",
    recovery: {
      uki: wholeOf([own[0] ?? "", kernelText, own[1] ?? ""]),
      parts: [recoveryHead, kernel, recoveryInitrd],
    },
  };
  const told = options.change?.(boot) ?? boot;
  const manifest = { ...plain, annotations: { [BOOT_ANNOTATION]: canonicalJson(told) } };
  const written = await store.write(Buffer.from(canonicalJson(manifest)));
  const descriptor = { mediaType: MEDIA_TYPES.manifest, ...written };
  await store.tag(`${options.name ?? "host"}:latest`, descriptor);
  return { descriptor, manifest, boot: told, uki: Buffer.from(pieces.join("")), loader };
}

async function packFiles(
  store: Store,
  tree: string,
  files: Record<string, string | Buffer>,
  section: "base" | "deploy",
) {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), content);
  }
  return await packLayer(store, await walkDirectory(tree), { section });
}

async function writeParts(store: Store, pieces: readonly string[]): Promise<BootBlob[]> {
  const parts: BootBlob[] = [];
  for (const piece of pieces) parts.push(await store.write(Buffer.from(piece)));
  return parts;
}

function wholeOf(pieces: readonly string[]): BootBlob {
  const bytes = Buffer.from(pieces.join(""));
  return { digest: digestFromHex(createHash("sha256").update(bytes).digest("hex")), size: bytes.length };
}
