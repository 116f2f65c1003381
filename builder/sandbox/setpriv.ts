import { basename } from "node:path";
import { run } from "../../effects/process.ts";
import { BuildError } from "../error.ts";
import type { SandboxFile } from "./machine.ts";

/** The machine's setpriv inside a sandbox: its files, and the command that starts it whatever the tree holds. */
export interface BoundSetpriv {
  files: SandboxFile[];
  command: string[];
}

const INSIDE = "/dev/ostler/user";

/** Finds setpriv and its libraries on this machine: USER must work in trees that have nothing but the app. */
export async function bindSetpriv(): Promise<BoundSetpriv> {
  const program = (await run(["sh", "-c", "command -v setpriv"])).stdout.trim();
  const libraries = parseLdd((await run(["ldd", program])).stdout);
  const loader = libraries.find((path) => /^ld[-.]/.test(basename(path)));
  if (loader === undefined) {
    throw new BuildError("program-missing", `${program}: expected a program with a loader that ldd names`);
  }
  const inside = (path: string) => `${INSIDE}/${basename(path)}`;
  return {
    files: [program, ...libraries].map((path) => ({ path: inside(path), source: { machine: path } })),
    command: [inside(loader), "--library-path", INSIDE, inside(program)],
  };
}

/** Paths of the libraries in ldd's output: `name => /path (0x...)`, or `/path (0x...)` for the loader. */
export function parseLdd(output: string): string[] {
  return output.split("\n").flatMap((line) => {
    const path = /(?:=> )?(\/\S+) \(0x[0-9a-f]+\)$/.exec(line.trim())?.[1];
    return path === undefined ? [] : [path];
  });
}
