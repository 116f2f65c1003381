import { statfs } from "node:fs/promises";
import { arch, freemem, hostname, loadavg, release, totalmem, uptime } from "node:os";
import type { Machine } from "../../manifests/collect.ts";

/** The machine under a node: what it is, how long it is up, and the room that is left for it. */
export async function describeMachine(stateDirectory: string): Promise<Machine> {
  const { blocks, bavail, bsize } = await statfs(stateDirectory);
  return {
    hostname: hostname(),
    kernel: release(),
    arch: arch(),
    uptime: Math.round(uptime()),
    load: loadavg(),
    memory: { total: totalmem(), free: freemem() },
    disk: { path: stateDirectory, total: blocks * bsize, free: bavail * bsize },
  };
}
