import { access } from "node:fs/promises";
import * as z from "zod";
import { ProcessError, run } from "../../effects/process.ts";

const CONTROL = "/dev/loop-control";

const listSchema = z.object({
  loopdevices: z.array(z.object({ "back-ino": z.coerce.number(), "back-file": z.string().nullish() })),
});

/**
 * The inode of the file under a loop device, asked of the kernel: it stays that of the mounted file when another
 * file takes its name. Undefined where the device has none.
 */
export async function backingInode(device: string): Promise<number | undefined> {
  const list = await tryRun(["losetup", "--json", "--list", "--output", "BACK-INO,BACK-FILE", device]);
  if (list === undefined || list.trim() === "") return undefined;
  return listSchema.parse(JSON.parse(list)).loopdevices[0]?.["back-ino"];
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
