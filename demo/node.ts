import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { run } from "../effects/process.ts";
import { freePort } from "../test/free-port.ts";
import { writeSshConfig } from "../test/vm/ssh-config.ts";

/** A way to an app on the node: its port there stands open on this machine's loopback, over SSH. */
export interface Reach {
  readonly port: number;
  /** Opens it, anew where the node has started anew. */
  open(): Promise<void>;
  close(): Promise<void>;
}

const APP_PORT = 8080;
/** Milliseconds: for the shop on an emulated machine to come up, and for one answer of it. */
const COMING_UP = 240_000;
const ANSWER = 10_000;

/** Makes the operator's key and answers its public half. */
export async function makeKey(directory: string): Promise<string> {
  const file = join(directory, "key");
  for (const name of [file, `${file}.pub`]) await rm(name, { force: true });
  await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "demo", "-f", file]);
  return (await readFile(`${file}.pub`, "utf8")).trim();
}

/** Writes the ssh_config in which the machine is `node-1`, and prepares the way to the app on it. */
export async function reachNode(directory: string, sshPort: number): Promise<Reach> {
  const config = await writeSshConfig(directory, sshPort, join(directory, "key"));
  const port = await freePort();
  let tunnel: ChildProcess | undefined;
  const close = async () => {
    if (tunnel === undefined || tunnel.exitCode !== null || tunnel.signalCode !== null) return;
    tunnel.kill();
    await once(tunnel, "exit");
  };
  return {
    port,
    close,
    async open() {
      await close();
      const forward = ["-N", "-o", "ExitOnForwardFailure=yes", "-L", `127.0.0.1:${port}:127.0.0.1:${APP_PORT}`];
      const start = () => spawn("ssh", ["-F", config, ...forward, "node-1"], { stdio: "ignore" });
      tunnel = start();
      for (const end = Date.now() + COMING_UP; Date.now() < end; await delay(500)) {
        const signal = AbortSignal.timeout(ANSWER);
        const answer = await fetch(`http://127.0.0.1:${port}/healthz`, { signal }).catch(() => undefined);
        if (answer?.ok === true) return;
        if (tunnel.exitCode !== null) tunnel = start();
      }
      throw new Error(`expected the shop to answer over SSH within ${COMING_UP / 1_000} s`);
    },
  };
}
