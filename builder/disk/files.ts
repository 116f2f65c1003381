import { ESP, entryName, loaderConf, RECOVERY_ENTRY, STARTUP_NSH } from "../../images/boot/entries.ts";
import { identityFiles } from "../../images/boot/identity.ts";
import { type Boot, type BootBlob, type BootFile, bootBlobs } from "../../manifests/boot.ts";
import { hexOf } from "../../manifests/digest.ts";
import { canonicalJson } from "../../manifests/document.ts";
import type { Identity } from "../../manifests/identity.ts";
import type { Release } from "../../manifests/release.ts";

/** A file or directory of a partition, by path from the partition's root; where its bytes come from. */
export type DiskFile = { path: string } & (
  | { kind: "directory"; mode: number }
  | { kind: "bytes"; bytes: string | Uint8Array; mode: number }
  | { kind: "link"; target: string }
  /** Joined from the image's parts. */
  | { kind: "boot"; file: BootFile }
);

/** The number of the first version of a node. */
const FIRST = 1;

/** The node daemon's state on the data partition, which is /var/lib/hostd once /var is mounted. */
const STATE = "var/lib/hostd";

/** Where the layers are laid down, by verity root. */
export const LAYERS = `${STATE}/layers`;

/** Where systemd-boot finds keys for a firmware that has none yet, and the line that makes it take them over. */
const ENROLLED = "loader/keys/auto";
const ENROLL = "secure-boot-enroll force\n";

/**
 * What the ESP holds at first: the loader, the first version, proven by having been chosen, and recovery; with
 * `enrolled`, lists of Secure Boot keys by file name.
 */
export function espFiles(boot: Boot, loader: Uint8Array, enrolled: Record<string, Uint8Array> = {}): DiskFile[] {
  const first = { number: FIRST, root: boot.root };
  const recovery = boot.recovery;
  const keys = Object.entries(enrolled);
  return [
    { kind: "bytes", path: ESP.loader, bytes: loader, mode: 0o644 },
    { kind: "bytes", path: ESP.loaderConf, bytes: loaderConf(first) + (keys.length === 0 ? "" : ENROLL), mode: 0o644 },
    { kind: "bytes", path: ESP.startup, bytes: STARTUP_NSH, mode: 0o644 },
    { kind: "boot", path: `${ESP.entries}/${entryName(first)}`, file: boot },
    ...keys.map(([name, bytes]) => ({ kind: "bytes" as const, path: `${ENROLLED}/${name}`, bytes, mode: 0o644 })),
    ...(recovery === undefined
      ? []
      : [{ kind: "boot" as const, path: `${ESP.entries}/${RECOVERY_ENTRY}`, file: recovery }]),
  ];
}

export interface DataContent {
  rootList: string;
  /** Bytes exactly as they are signed. */
  manifest: Uint8Array;
  config: Uint8Array;
  release: Release | undefined;
  identity: Identity;
  /** Driver of apps' data that the disk has room for, where hostd would not find it by itself. */
  data?: string | undefined;
}

/** What the data partition holds at first, beside the layers: parents before what is in them. */
export function dataFiles(boot: Boot, content: DataContent): DiskFile[] {
  const directory = (path: string, mode: number): DiskFile => ({ kind: "directory", path, mode });
  const file = (path: string, bytes: string | Uint8Array, mode = 0o644): DiskFile => ({
    kind: "bytes",
    path,
    bytes,
    mode,
  });
  const host = `${STATE}/host`;
  const { release, identity } = content;
  return [
    directory("var", 0o755),
    directory("var/lib", 0o755),
    directory(STATE, 0o700),
    directory(LAYERS, 0o700),
    directory(host, 0o755),
    directory(`${host}/roots`, 0o755),
    file(`${host}/roots/${boot.root}`, content.rootList),
    directory(`${host}/parts`, 0o755),
    ...bootParts(boot).map((part): DiskFile => {
      const path = `${host}/parts/${hexOf(part.digest)}`;
      return { kind: "boot", path, file: { uki: part, parts: [part] } };
    }),
    file(`${host}/good`, `${boot.root}\n`),
    directory(`${host}/seed`, 0o700),
    file(`${host}/seed/manifest.json`, content.manifest),
    file(`${host}/seed/config.json`, content.config),
    ...(release === undefined ? [] : [file(`${host}/seed/release.json`, canonicalJson(release))]),
    ...identityTree(`${host}/identity`, identity, content.data),
  ];
}

/** What the node keeps to join a UKI of: the next version is sent without the parts that it shares. */
export function bootParts(boot: Boot): BootBlob[] {
  return bootBlobs({ ...boot, loader: undefined });
}

/** What makes the node this node, under the /etc of every version; the document itself beside it, to be read again. */
function identityTree(directory: string, identity: Identity, data: string | undefined): DiskFile[] {
  const made = new Set<string>();
  const directories = (path: string): DiskFile[] => {
    const parents = path
      .split("/")
      .slice(0, -1)
      .map((_, index, parts) => parts.slice(0, index + 1).join("/"));
    return parents
      .filter((parent) => !made.has(parent) && made.add(parent))
      .map((parent) => {
        return { kind: "directory", path: `${directory}/etc/${parent}`, mode: 0o755 };
      });
  };
  return [
    { kind: "directory", path: directory, mode: 0o755 },
    { kind: "bytes", path: `${directory}/identity.json`, bytes: canonicalJson(identity), mode: 0o644 },
    { kind: "directory", path: `${directory}/etc`, mode: 0o755 },
    ...identityFiles(identity, data === undefined ? {} : { data }).flatMap((file): DiskFile[] => {
      const path = `${directory}/etc/${file.path}`;
      const entry: DiskFile =
        "link" in file
          ? { kind: "link", path, target: file.link }
          : { kind: "bytes", path, bytes: file.text, mode: file.mode };
      return [...directories(file.path), entry];
    }),
  ];
}
