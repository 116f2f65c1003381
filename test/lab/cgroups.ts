import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasErrno } from "../../effects/errno.ts";

/** Cgroups of one node of the lab, one in each hierarchy, below this process's own. */
export interface Cgroups {
  directories: readonly string[];
  /** Removes them with what systemd made below; every process in them must be gone. */
  remove(): void;
}

/**
 * Makes a cgroup called `name` in every hierarchy: nodes that share systemd's would see each other's units. A container
 * may have some of the others read-only; there the node stays where this process is.
 */
export function makeCgroups(name: string): Cgroups {
  const lines = readFileSync("/proc/self/cgroup", "utf8").trim().split("\n");
  const directories = lines.flatMap((line) => {
    const [, controllers = "", path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const root = mountOf(controllers);
    return root === undefined || !make(join(root, path, name)) ? [] : [join(root, path, name)];
  });
  return { directories, remove: () => directories.forEach(removeTree) };
}

function make(directory: string): boolean {
  try {
    mkdirSync(directory);
  } catch (error) {
    if (hasErrno(error, "EROFS")) return false;
    throw error;
  }
  copyCpuset(directory);
  return true;
}

function mountOf(controllers: string): string | undefined {
  const mounts = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "));
  const wanted = controllers.split(",");
  const mount = mounts.find(([, , type = "", options = ""]) =>
    controllers === ""
      ? type === "cgroup2"
      : type === "cgroup" && wanted.every((one) => options.split(",").includes(one)),
  );
  return mount?.[1];
}

/** A cpuset of cgroup v1 takes no process before it names its processors and memory. */
function copyCpuset(directory: string): void {
  for (const name of ["cpuset.cpus", "cpuset.mems"]) {
    const names = readdirSync(directory);
    if (!names.includes(name) || !names.includes("cpuset.cpu_exclusive")) continue;
    writeFileSync(join(directory, name), readFileSync(join(directory, "..", name)));
  }
}

function removeTree(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(directory, entry.name));
  }
  rmdirSync(directory);
}
