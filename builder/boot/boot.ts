import { createHash } from "node:crypto";
import { RECOVERY_SORT_KEY } from "../../images/boot/entries.ts";
import { rootDigestOf, rootListOf } from "../../images/boot/roots.ts";
import type { Store } from "../../images/store.ts";
import type { Boot, BootBlob, BootFile } from "../../manifests/boot.ts";
import { digestFromHex } from "../../manifests/digest.ts";
import type { Descriptor } from "../../manifests/image.ts";
import { BuildError } from "../error.ts";
import type { BootDeclaration, Recipe } from "../recipe/recipe.ts";
import { toBinary } from "../tree/bytes.ts";
import type { Tree } from "../tree/tree.ts";
import { kernelRelease } from "./kernel.ts";
import { recoveryArchive } from "./recovery.ts";
import { type Signer, signEfi, signed } from "./sign.ts";
import { composeUki } from "./uki.ts";

/** systemd-boot, where Debian's systemd-boot-efi puts it. */
const LOADER = "usr/lib/systemd/boot/efi/systemd-bootx64.efi";

export interface BootInput {
  recipe: Recipe;
  declared: BootDeclaration;
  /** The whole tree of the image. */
  tree: Tree;
  /** The image's layers, base first. */
  layers: readonly Descriptor[];
  store: Store;
  /** Signs for Secure Boot; undefined leaves the UKI unsigned. */
  signer: Signer | undefined;
}

/** The builder's part of the command line: the root, and that a kernel in trouble resets the machine by itself. */
function commandLineOf(root: string, declared: string): string {
  return `ostler.root=${root} panic=1 oops=panic ${declared}`.trim();
}

/**
 * Composes what firmware starts of a host image, writes its parts as blobs, and gives the document for the manifest.
 * The command line names the list of root layers with their verity roots, so the image's digest covers all that runs.
 */
export async function makeBoot(input: BootInput): Promise<Boot> {
  const { declared, store } = input;
  const root = rootDigestOf(rootListOf({ layers: [...input.layers] }));
  const [linux, initrd, stub] = [declared.kernel, declared.initrd, declared.stub].map((path) => bootFile(path, input));
  if (linux === undefined || initrd === undefined || stub === undefined) throw new TypeError("expected three files");
  const kernel = kernelRelease(linux, declared.kernel);
  const commandLine = commandLineOf(root, declared.cmdline);
  const parts = composeUki({ stub, osRelease: osReleaseOf(input, kernel), commandLine, linux, initrd });
  const file = await signed(parts, input.signer);
  const recovery = await makeRecovery(input, { stub, linux, kernel });
  return {
    schema: 1,
    root,
    uki: blobOf(Buffer.concat(file)),
    parts: await writeParts(store, file),
    kernel,
    kernelDigest: blobOf(linux).digest,
    initrdDigest: blobOf(initrd).digest,
    cmdline: declared.cmdline,
    ...(recovery === undefined ? {} : { recovery }),
    ...(input.signer === undefined ? {} : { loader: await signedLoader(input, input.signer) }),
  };
}

/**
 * The second UKI: the same kernel with the small system that mends a host. What the recipe adds to it is a part of its
 * own, so that a new hostd in it is a small part too.
 */
async function makeRecovery(
  input: BootInput,
  { stub, linux, kernel }: { stub: Buffer; linux: Buffer; kernel: string },
): Promise<BootFile | undefined> {
  const { declared, store } = input;
  if (declared.recovery === undefined) return undefined;
  const own = bootFile(declared.recovery, input);
  const first = Buffer.concat([own, Buffer.alloc(-own.length & 511)]);
  const added = declared.recoveryFiles === undefined ? Buffer.alloc(0) : addedFiles(declared.recoveryFiles, input);
  const osRelease = osReleaseOf(input, kernel).replace("IMAGE_ID=ostler", `IMAGE_ID=${RECOVERY_SORT_KEY}`);
  const commandLine = `ostler.recovery=1 panic=10 ${declared.cmdline}`.trim();
  const initrd = Buffer.concat([first, added]);
  const [head, kernelPart, whole, ...tail] = await signed(
    composeUki({ stub, osRelease, commandLine, linux, initrd }),
    input.signer,
  );
  if (head === undefined || kernelPart === undefined || whole === undefined)
    throw new TypeError("expected three parts");
  const rest = whole.subarray(first.length);
  const parts = [head, kernelPart, whole.subarray(0, first.length), ...(rest.length === 0 ? [] : [rest]), ...tail];
  return { uki: blobOf(Buffer.concat(parts)), parts: await writeParts(store, parts) };
}

/** The loader that the firmware starts: under Secure Boot it is checked like the UKI. */
async function signedLoader({ recipe, tree, store }: BootInput, signer: Signer): Promise<BootBlob> {
  const loader = tree.read(LOADER);
  if (loader === undefined) {
    throw new BuildError(
      "boot-file",
      `${recipe.file}: --uki-key: expected the loader /${LOADER} in the image, got none`,
      {
        hint: "install systemd-boot-efi in BOOTSTRAP",
      },
    );
  }
  const file = await signEfi(loader, signer);
  await writeParts(store, [file]);
  return blobOf(file);
}

function addedFiles(path: string, { recipe, declared, tree }: BootInput): Buffer {
  const directory = tree.resolve(toBinary(path));
  if (tree.at(directory)?.type === "directory") return recoveryArchive(tree, directory);
  throw new BuildError(
    "boot-file",
    `${recipe.file}:${declared.position.line}: BOOT: expected the directory ${path} in the image, got none`,
  );
}

/** Paths that go into no layer: what BOOT names, and the links that lead there. */
export function bootPaths(declared: BootDeclaration, tree: Tree): Set<string> {
  const recovery = declared.recovery === undefined ? [] : [declared.recovery];
  const paths = [declared.kernel, declared.initrd, declared.stub, ...recovery];
  return new Set(paths.flatMap((path) => tree.trail(toBinary(path))));
}

function bootFile(path: string, { recipe, declared, tree }: BootInput): Buffer {
  const bytes = tree.read(toBinary(path));
  if (bytes !== undefined && bytes.length > 0) return bytes;
  throw new BuildError(
    "boot-file",
    `${recipe.file}:${declared.position.line}: BOOT: expected the file ${path} in the image, got none`,
    { hint: path === declared.stub ? "install systemd-boot-efi in BOOTSTRAP, or name another --stub" : undefined },
  );
}

/** systemd-boot sorts entries by IMAGE_ID first; among our own the file name decides (images/boot/entries.ts). */
function osReleaseOf({ recipe, tree }: BootInput, kernel: string): string {
  const text = tree.read("etc/os-release")?.toString("utf8") ?? "";
  const field = (name: string) => new RegExp(`^${name}="?([^"\n]*)"?$`, "m").exec(text)?.[1];
  const pretty = `${recipe.name} (${field("PRETTY_NAME") ?? "Linux"}, ${kernel})`;
  return [
    `ID=${field("ID") ?? "linux"}`,
    `VERSION_ID="${field("VERSION_ID") ?? "0"}"`,
    "IMAGE_ID=ostler",
    `PRETTY_NAME="${pretty}"`,
    "",
  ].join("\n");
}

async function writeParts(store: Store, parts: readonly Buffer[]): Promise<BootBlob[]> {
  const blobs: BootBlob[] = [];
  for (const part of parts) {
    const blob = blobOf(part);
    if (!(await store.has(blob.digest))) await store.write(part, blob);
    blobs.push(blob);
  }
  return blobs;
}

function blobOf(bytes: Buffer): BootBlob {
  return { digest: digestFromHex(createHash("sha256").update(bytes).digest("hex")), size: bytes.length };
}
