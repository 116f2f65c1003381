import { spawn } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { run } from "../effects/process.ts";
import { freePort } from "./free-port.ts";

/** A real sshd on loopback that lets root in with one key. */
export interface Sshd {
  /** An ssh_config in which it is the host `node`. */
  config: string;
  stop(): Promise<void>;
}

/** Where a sshd runs: the path at which it sees the directory of its files, and what starts its command line. */
export interface SshdPlace {
  seen: string;
  start(command: readonly string[]): Promise<() => Promise<void>>;
}

/** Starts it with keys and configuration of its own below `directory`, on this machine or in a node of the lab. */
export async function startSshd(directory: string, where: SshdPlace = { seen: directory, start }): Promise<Sshd> {
  const place = (name: string) => join(directory, name);
  const seen = (name: string) => join(where.seen, name);
  for (const key of ["host", "client"]) await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place(key)]);
  await writeFile(place("authorized"), await readFile(place("client.pub")));
  const port = await freePort();
  const options = [
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${seen("host")}`,
    `AuthorizedKeysFile ${seen("authorized")}`,
    "PasswordAuthentication no",
    "UsePAM no",
    "StrictModes no",
    "PermitRootLogin yes",
    `PidFile ${seen("sshd.pid")}`,
    "Subsystem sftp internal-sftp",
  ];
  await writeFile(place("sshd_config"), `${options.join("\n")}\n`);
  await writeFile(
    place("ssh_config"),
    `Host node\n HostName 127.0.0.1\n Port ${port}\n User root\n IdentityFile ${place("client")}\n IdentitiesOnly yes\n` +
      ` UserKnownHostsFile ${place("known_hosts")}\n StrictHostKeyChecking accept-new\n LogLevel ERROR\n`,
  );
  const stop = await where.start(["/usr/sbin/sshd", "-D", "-e", "-f", seen("sshd_config")]);
  for (let tries = 0; !(await answers(port)); tries++) {
    if (tries === 200) throw new Error(`expected sshd to answer on port ${port} within 10 s`);
    await delay(50);
  }
  return { config: place("ssh_config"), stop };
}

async function start([program = "", ...args]: readonly string[]): Promise<() => Promise<void>> {
  await mkdir("/run/sshd", { recursive: true, mode: 0o755 }); // sshd changes its root to it
  const child = spawn(program, args, { stdio: "ignore" });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  return async () => {
    child.kill("SIGTERM");
    await exited;
  };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, "127.0.0.1");
    socket.once("connect", () => resolve(true) ?? socket.destroy());
    socket.once("error", () => resolve(false));
  });
}
