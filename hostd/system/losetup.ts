import { access, readFile } from "node:fs/promises";
import { unlessMissing } from "../../effects/errno.ts";
import { ProcessError, run } from "../../effects/process.ts";

const CONTROL = "/dev/loop-control";

/**
 * The file under a loop device, as the kernel names it now: one that lost its name to another is told as deleted, and so
 * is no file's path. Undefined where the device has none, or the kernel does not say.
 */
export async function backingFile(device: string): Promise<string | undefined> {
  const name = /^\/dev\/(loop\d+)$/.exec(device)?.[1];
  if (name === undefined) return undefined;
  const text = await unlessMissing(readFile(`/sys/block/${name}/loop/backing_file`, "utf8"));
  return text?.replace(/\n$/, "");
}

/**
 * Makes the control node and the next free loop node where they are missing, as in containers, whose /dev is not the
 * kernel's. Says whether it made one, so that what failed for want of it is worth another try.
 */
export async function makeLoopNodes(): Promise<boolean> {
  const control = await makeNode(CONTROL, "c", 10, 237);
  const device = (await tryRun(["losetup", "--find"]))?.trim() ?? "";
  const number = /^\/dev\/loop(\d+)$/.exec(device)?.[1];
  const node = number !== undefined && (await makeNode(device, "b", 7, Number(number)));
  return control || node;
}

export async function hasLoopControl(): Promise<boolean> {
  return access(CONTROL).then(
    () => true,
    () => false,
  );
}

/** What may not be made shows in the mount that is tried next, whose message is the better one. */
async function makeNode(path: string, type: "b" | "c", major: number, minor: number): Promise<boolean> {
  const made = await tryRun(["mknod", "--mode=600", path, type, String(major), String(minor)]);
  return made !== undefined;
}

/** The output, or undefined where the program failed. */
async function tryRun(command: readonly string[]): Promise<string | undefined> {
  try {
    return (await run(command)).stdout;
  } catch (error) {
    if (error instanceof ProcessError) return undefined;
    throw error;
  }
}
