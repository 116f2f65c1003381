import { mkdir, readFile } from "node:fs/promises";
import { loadavg } from "node:os";
import { join } from "node:path";
import { table } from "../terminal/table.ts";
import { openHostHome } from "../test/vm/host-home.ts";
import { debianWay } from "./host/debian.ts";
import { ourWay } from "./host/ours.ts";
import { raucWay } from "./host/rauc.ts";
import { debianTree } from "./host/tree.ts";
import type { Change, Way } from "./host/way.ts";
import { median } from "./measure.ts";

const ROOT = join(import.meta.dirname, "..");
const MB = 1_000_000;

/**
 * What an upgrade of the host costs, seen from outside: our way, Debian's and RAUC's, each on an emulated machine of its
 * own, one after the other, each figure the median of `rounds`.
 */
export async function benchHost(below: string, rounds: number, which: readonly string[]): Promise<string> {
  const directory = join(below, "host");
  await mkdir(directory, { recursive: true });
  const home = await openHostHome();
  const tree = await debianTree(join(directory, "debian-tree"), {
    bundle: join(ROOT, "recipes/host/dist"),
    unit: join(ROOT, "recipes/host/deploy/usr/lib/systemd/system/hostd.service"),
    trustedRoot: join(home.repository, "metadata/1.root.json"),
    authorizedKey: await readFile(`${home.sshKey}.pub`, "utf8"),
  });
  const ways = {
    ostler: () => ourWay(directory, home),
    debian: () => debianWay(directory, tree, home.sshKey),
    rauc: () => raucWay(directory, tree, home.sshKey),
  };
  const rows: string[][] = [];
  for (const [name, open] of Object.entries(ways)) {
    if (which.length === 0 || which.includes(name)) rows.push(...(await measureWay(await open(), rounds)));
  }
  const heading = ["way", "what", "seconds in all", "from the reset", "sshd silent", "MB sent", "load"];
  return table(heading, rows);
}

async function measureWay(way: Way, rounds: number): Promise<string[][]> {
  const { name, upgrades, revert } = way;
  try {
    const starts = await repeat(rounds, `${name}: start`, way.start);
    const rows = [[name, "start", seconds(median(starts)), "", "", "", load()]];
    const changes: [string, () => Promise<Change>][] = [];
    for (const [what, work] of Object.entries(upgrades)) changes.push([`upgrade: ${what}`, work]);
    if (revert !== undefined) changes.push(["revert of a panic", revert]);
    for (const [what, work] of changes) {
      rows.push([name, what, ...figures(await repeat(rounds, `${name}: ${what}`, work)), load()]);
    }
    return rows;
  } finally {
    await way.close();
  }
}

async function repeat<T>(rounds: number, what: string, work: () => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const value = await work();
    console.error(`bench: ${what}, round ${round}: ${JSON.stringify(value)}`);
    all.push(value);
  }
  return all;
}

function figures(changes: readonly Change[]): string[] {
  const middle = (of: (change: Change) => number) => median(changes.map(of));
  const reset = middle(({ sinceReset }) => sinceReset ?? Number.NaN);
  return [
    seconds(middle(({ total }) => total)),
    Number.isNaN(reset) ? "no reset" : seconds(reset),
    seconds(middle(({ silent }) => silent)),
    (middle(({ bytes }) => bytes) / MB).toFixed(1),
  ];
}

const seconds = (value: number) => value.toFixed(1);
const load = () => (loadavg()[0] ?? Number.NaN).toFixed(1);
