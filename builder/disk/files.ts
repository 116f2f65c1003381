import { ESP, entryName, loaderConf, RECOVERY_ENTRY, STARTUP_NSH } from "../../images/boot/entries.ts";
import type { Boot, BootFile } from "../../manifests/boot.ts";
import { canonicalJson } from "../../manifests/document.ts";
import type { Release } from "../../manifests/release.ts";

/** A file or directory of a partition, by path from the partition's root; where its bytes come from. */
export type DiskFile = { path: string } & (
  | { kind: "directory"; mode: number }
  | { kind: "bytes"; bytes: string | Uint8Array; mode: number }
  /** Joined from the image's parts. */
  | { kind: "boot"; file: BootFile }
);

/** The number of the first version of a node. */
const FIRST = 1;

/** The node daemon's state on the data partition, which is /var/lib/hostd once /var is mounted. */
const STATE = "var/lib/hostd";

/** Where the layers are laid down, by verity root. */
export const LAYERS = `${STATE}/layers`;

/** What the ESP holds at first: the loader, the first version, proven by having been chosen, and recovery. */
export function espFiles(boot: Boot, loader: Uint8Array): DiskFile[] {
  const first = { number: FIRST, root: boot.root };
  const recovery = boot.recovery;
  return [
    { kind: "bytes", path: ESP.loader, bytes: loader, mode: 0o644 },
    { kind: "bytes", path: ESP.loaderConf, bytes: loaderConf(first), mode: 0o644 },
    { kind: "bytes", path: ESP.startup, bytes: STARTUP_NSH, mode: 0o644 },
    { kind: "boot", path: `${ESP.entries}/${entryName(first)}`, file: boot },
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
  /** The node's identity as canonical JSON; applied once, at first boot. */
  identity: string | undefined;
}

/** What the data partition holds at first, beside the layers: parents before what is in them. */
export function dataFiles(root: string, content: DataContent): DiskFile[] {
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
    file(`${host}/roots/${root}`, content.rootList),
    // the mode of /etc is that of the overlay's upper directory
    directory(`${host}/etc`, 0o755),
    directory(`${host}/etc/${root}`, 0o755),
    directory(`${host}/etc/${root}/declared`, 0o755),
    directory(`${host}/etc/${root}/upper`, 0o755),
    directory(`${host}/etc/${root}/work`, 0o755),
    file(`${host}/good`, `${root}\n`),
    directory(`${host}/seed`, 0o700),
    file(`${host}/seed/manifest.json`, content.manifest),
    file(`${host}/seed/config.json`, content.config),
    ...(release === undefined ? [] : [file(`${host}/seed/release.json`, canonicalJson(release))]),
    ...(identity === undefined ? [] : [file(`${host}/seed/identity.json`, identity, 0o600)]),
  ];
}
