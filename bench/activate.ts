import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../effects/process.ts";
import { packLayer } from "../images/layer/pack.ts";
import { walkDirectory } from "../images/layer/walk.ts";
import { openStore } from "../images/store.ts";
import { table } from "../terminal/table.ts";
import { once, tagImage } from "./input.ts";
import { withTarget } from "./measure.ts";

/** MB of images whose mounting is timed, beside the Debian desktop. */
const SIZES = [10, 200, 1000];
const FILE_MB = 1;

/** How long an image that is staged takes to be mounted, over its size: the only part of a switch that knows images. */
export async function benchActivate(directory: string): Promise<string> {
  const rows: string[][] = [];
  for (const size of SIZES) {
    const repository = join(directory, `random-${size}`);
    await once(repository, (path) => packRandom(path, size));
    rows.push([`${size} MB`, await timeOf(directory, repository)]);
  }
  rows.push(["Debian desktop", await timeOf(directory, join(directory, "zstd"))]);
  return table(["image", "mount ms"], rows);
}

async function timeOf(directory: string, repository: string): Promise<string> {
  return await withTarget(directory, undefined, async (target) => {
    const ours = (what: string) => run([process.execPath, "bench/ours.ts", repository, "v1", target, what]);
    await ours("stage");
    const { stdout } = await ours("mount");
    return Number(JSON.parse(stdout)).toFixed(1);
  });
}

async function packRandom(path: string, size: number): Promise<void> {
  const tree = join(path, "tree");
  mkdirSync(tree, { recursive: true });
  for (let n = 0; n < size / FILE_MB; n++) writeFileSync(join(tree, String(n)), randomBytes(FILE_MB * 1_000_000));
  const store = await openStore(join(path, "oci"));
  await tagImage(store, "v1", [await packLayer(store, await walkDirectory(tree), { section: "base" })]);
  await run(["rm", "-r", tree]);
}
