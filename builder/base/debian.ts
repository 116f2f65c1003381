import { existsSync, readdirSync, rmSync, truncateSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { ProcessError, run } from "../../effects/process.ts";
import { BuildError } from "../error.ts";
import { expectPrograms } from "../programs.ts";
import { aptProxies } from "../sandbox/machine.ts";

export interface DebianOptions {
  suite: string;
  /** Lines of sources.list. */
  sources: readonly string[];
  /** SOURCE_DATE_EPOCH of the making, in seconds. */
  epoch: number;
  /** Where mmdebstrap may keep temporary files. */
  work: string;
  signal: AbortSignal;
  onOutput(text: string): void;
}

/** What mmdebstrap takes from this machine, or leaves by its own work: none of it belongs to the base. */
const LEFT_OUT = [
  "etc/hostname",
  "etc/resolv.conf",
  "etc/apt/apt.conf.d/99mmdebstrap",
  "var/cache/ldconfig/aux-cache",
  "var/lib/apt/lists/lock",
  "var/cache/apt/archives/lock",
  "var/lib/dpkg/lock",
  "var/lib/dpkg/lock-frontend",
  "var/lib/dpkg/triggers/Lock",
];
const EMPTIED = ["dev", "run", "tmp", "var/log/apt", "var/cache/apt/archives", "var/lib/apt/lists"];
const TRUNCATED = ["etc/machine-id", "var/log/btmp", "var/log/faillog", "var/log/lastlog", "var/log/wtmp"];

/**
 * Makes a minimal Debian in `root` with mmdebstrap. Killed with the builder: it runs in mount and process namespaces of
 * its own. What differs from run to run is taken out, so that one set of packages gives one tree.
 */
export async function makeDebian(root: string, options: DebianOptions): Promise<void> {
  expectPrograms("setpriv", "unshare", "mmdebstrap");
  const temporary = join(options.work, "tmp");
  await mkdir(temporary);
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(options.epoch), TMPDIR: temporary, LC_ALL: "C.UTF-8" };
  try {
    const { signal, onOutput } = options;
    await run(debianCommand(root, { ...options, aptOptions: await aptProxies() }), { env, signal, onOutput });
  } catch (error) {
    if (!(error instanceof ProcessError) || error.code === "process-missing") throw error;
    throw new BuildError(
      "base-unreachable",
      `FROM debian:${options.suite}: expected mmdebstrap to make it, got ${error.message}`,
      {
        cause: error,
        hint: `check that the suite exists and that apt reaches it: ${options.sources[0]}`,
      },
    );
  }
  cleanTree(root);
}

/** Killing the first process kills all of them, and their mounts go with the namespace. */
export function debianCommand(
  root: string,
  options: Pick<DebianOptions, "suite" | "sources"> & { aptOptions: string[] },
): string[] {
  return [
    ...["setpriv", "--pdeathsig", "KILL", "--"],
    ...["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"],
    ...["mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", "--dpkgopt=force-unsafe-io"],
    ...options.aptOptions.map((line) => `--aptopt=${line}`),
    ...[options.suite, root, ...options.sources],
  ];
}

function cleanTree(root: string): void {
  rmSync(join(root, "etc/dpkg/dpkg.cfg.d/99mmdebstrap"), { force: true });
  for (const path of LEFT_OUT) rmSync(join(root, path), { force: true });
  for (const path of EMPTIED) {
    if (!existsSync(join(root, path))) continue;
    for (const name of readdirSync(join(root, path))) rmSync(join(root, path, name), { recursive: true, force: true });
  }
  for (const path of TRUNCATED) if (existsSync(join(root, path))) truncateSync(join(root, path));
}
