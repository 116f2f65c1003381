import { access } from "node:fs/promises";
import * as z from "zod";
import { ProcessError, run } from "../../effects/process.ts";

const listSchema = z.object({
  loopdevices: z.array(z.object({ "back-ino": z.coerce.number(), "back-file": z.string().nullish() })),
});

/**
 * The inode of the file under a loop device, asked of the kernel: it stays that of the mounted file when another
 * file takes its name. Undefined where the device has none.
 */
export async function backingInode(device: string): Promise<number | undefined> {
  try {
    const { stdout } = await run(["losetup", "--json", "--list", "--output", "BACK-INO,BACK-FILE", device]);
    return stdout.trim() === "" ? undefined : listSchema.parse(JSON.parse(stdout)).loopdevices[0]?.["back-ino"];
  } catch (error) {
    if (error instanceof ProcessError) return undefined;
    throw error;
  }
}

/** Makes the control node and the next free loop node where they are missing, as in containers without devtmpfs. */
export async function makeLoopNodes(): Promise<void> {
  await makeNode("/dev/loop-control", "c", 10, 237);
  const { stdout } = await run(["losetup", "--find"]).catch(nothing);
  const device = stdout.trim().split(/\s/)[0] ?? "";
  const number = /^\/dev\/loop(\d+)$/.exec(device)?.[1];
  if (number !== undefined) await makeNode(device, "b", 7, Number(number));
}

async function makeNode(path: string, type: "b" | "c", major: number, minor: number): Promise<void> {
  if (await access(path).then(yes, no)) return;
  await run(["mknod", "--mode=600", path, type, String(major), String(minor)]).catch(nothing);
}

const yes = () => true;
const no = () => false;

/** What could not be made shows in the mount that is tried next, whose message is the better one. */
function nothing(error: unknown) {
  if (error instanceof ProcessError) return { stdout: "", stderr: "" };
  throw error;
}
