import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { unmountBelow } from "../../../../hostd/system/mount.ts";
import { type NodeSystem, openNode, type StartSpec } from "../../../../hostd/system/node.ts";
import { appsIn } from "../../../../hostd/system/paths.ts";

/** A node on directories of its own; its holders and mounts are undone whatever happens. */
export interface Fixture {
  node: NodeSystem;
  directory: string;
  state: string;
  run: string;
}

export async function withNode(use: (fixture: Fixture) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "node-"));
  const state = join(directory, "state");
  const run = join(directory, "run");
  const node = await openNode({ stateDirectory: state, runDirectory: run });
  // Not `finally`: a test that is given up because of its time never comes to it.
  onTestFinished(async () => {
    for (const app of await appsIn(join(run, "apps"))) await node.removeHolder(app);
    await unmountBelow(directory);
    rmSync(directory, { recursive: true });
  });
  await use({ node, directory, state, run });
}

/** How to start the test app (root.ts) from a root tree. */
export function serverSpec(root: string, generation: number, options: Partial<StartSpec> = {}): StartSpec {
  return {
    app: "shop",
    generation,
    root,
    command: ["/usr/bin/perl", "/opt/server.pl", `v${generation}`, "drain"],
    env: {},
    workdir: "/",
    config: [],
    listenFds: 1,
    ...options,
  };
}

export function shellSpec(root: string, generation: number, script: string, options: Partial<StartSpec> = {}) {
  return serverSpec(root, generation, { command: ["/bin/sh", "-c", script], listenFds: 0, ...options });
}

/** Asks again until the answer is there; fails after ten seconds with the last one. */
export async function eventually<T>(ask: () => Promise<T>, accept: (answer: T) => boolean): Promise<T> {
  const end = Date.now() + 10_000;
  for (;;) {
    const answer = await ask();
    if (accept(answer)) return answer;
    if (Date.now() > end) throw new Error(`waited ten seconds, last answer ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Command lines of all processes, their words ended by NUL. */
export function allCommands(): string[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8");
    } catch {
      return ""; // it ended while we looked
    }
  });
}

export function makeDirectory(...parts: string[]): string {
  const path = join(...parts);
  mkdirSync(path, { recursive: true });
  return path;
}
