import { readFile, realpath } from "node:fs/promises";
import { unlessMissing } from "../../effects/errno.ts";

/** One mount as the kernel tells it (proc(5), /proc/PID/mountinfo): the only truth about what is mounted. */
export interface MountEntry {
  mountPoint: string;
  type: string;
  /** What was given to mount(8): `/dev/loop3`; a slot carries its image digest here. */
  source: string;
  /** Options of the file system: `lowerdir=...` among them. */
  options: readonly string[];
}

/** Mounts of this process's namespace, in the order they were made. */
export async function readMounts(): Promise<MountEntry[]> {
  return parseMountinfo(await readFile("/proc/self/mountinfo", "utf8"));
}

/** What is mounted below a directory, not at it; nothing where there is no directory. */
export async function mountsBelow(directory: string): Promise<MountEntry[]> {
  const place = await unlessMissing(realpath(directory));
  return (await readMounts()).filter(({ mountPoint }) => place !== undefined && mountPoint.startsWith(`${place}/`));
}

/** Parses mountinfo; lines that are not of its form are left out, since the kernel may add kinds we do not know. */
export function parseMountinfo(text: string): MountEntry[] {
  return text.split("\n").flatMap((line) => {
    const [left, right] = line.split(" - ", 2);
    const mountPoint = left?.split(" ")[4];
    const [type, source, options] = right?.split(" ") ?? [];
    if (mountPoint === undefined || type === undefined || source === undefined || options === undefined) return [];
    return [{ mountPoint: plain(mountPoint), type, source: plain(source), options: plain(options).split(",") }];
  });
}

/** The topmost mount at a path: an earlier one there is hidden by it. */
export function mountAt(mounts: readonly MountEntry[], path: string): MountEntry | undefined {
  return mounts.findLast((mount) => mount.mountPoint === path);
}

/** The kernel writes space, tab, newline, backslash and # as three octal digits. */
function plain(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
