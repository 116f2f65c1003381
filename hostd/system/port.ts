import { readdir, readFile, readlink } from "node:fs/promises";
import type { Listen } from "../../manifests/app.ts";
import { NodeError } from "./failure.ts";

/** Who listens on a TCP port, for an error message: `nginx (pid 812)`; undefined where it cannot be seen. */
export async function whoListens(port: number): Promise<string | undefined> {
  const inodes = new Set<string>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    const text = await readFile(table, "utf8").catch(() => "");
    for (const inode of listenersIn(text, port)) inodes.add(inode);
  }
  if (inodes.size === 0) return undefined;
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    if (!(await holdsSocket(pid, inodes))) continue;
    const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "?");
    return `${name.trim()} (pid ${pid})`;
  }
  return undefined;
}

/** That an app cannot have a port, with who has it where that is known. */
export function portInUse(app: string, { address, port }: Listen, who: string | undefined, cause?: unknown): NodeError {
  return new NodeError("port-in-use", `${app}: port ${port} on ${address} is in use${who ? ` by ${who}` : ""}`, {
    cause,
    hint: `stop it, or LISTEN on another port: ss --listening --tcp --processes 'sport = :${port}'`,
  });
}

/** Inodes of sockets in state LISTEN (0A) on a port, from /proc/net/tcp or tcp6. */
export function listenersIn(table: string, port: number): string[] {
  return table
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === "0A" && Number.parseInt(fields[1]?.split(":")[1] ?? "", 16) === port)
    .flatMap((fields) => fields[9] ?? []);
}

/** A process that ends or may not be read while we look is not the answer. */
async function holdsSocket(pid: string, inodes: ReadonlySet<string>): Promise<boolean> {
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
  for (const descriptor of descriptors) {
    const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
    if (inodes.has(/^socket:\[(\d+)\]$/.exec(target)?.[1] ?? "")) return true;
  }
  return false;
}
