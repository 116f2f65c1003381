import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type PackedLayer, packLayer } from "../../images/layer/pack.ts";
import { walkDirectory } from "../../images/layer/walk.ts";
import type { Store } from "../../images/store.ts";

const ROOT = join(import.meta.dirname, "../..");
const MEGABYTE = 1_000_000;
const FILE_MEGABYTES = 50;

/** A layer that fills so many megabytes on a node and next to nothing in a repository. */
export async function packBulk(directory: string, store: Store, megabytes: number): Promise<PackedLayer> {
  const tree = join(directory, `bulk-${megabytes}`);
  mkdirSync(join(tree, "bulk"), { recursive: true });
  for (let left = megabytes, number = 0; left > 0; left -= FILE_MEGABYTES, number++) {
    const bytes = Buffer.alloc(
      Math.min(left, FILE_MEGABYTES) * MEGABYTE,
      `file ${number} of the bulk, again and again; `,
    );
    writeFileSync(join(tree, "bulk", String(number)), bytes);
  }
  return await packLayer(store, await walkDirectory(tree), { section: "base" });
}

/** The shop of recipes/ with this very Node and the libraries it needs, as one layer. */
export async function packShop(directory: string, store: Store): Promise<PackedLayer> {
  const tree = join(directory, "shop");
  copy(realpathSync(process.execPath), tree, "/usr/bin/node");
  for (const line of execFileSync("ldd", [process.execPath]).toString().split("\n")) {
    const library = /(\/\S+) \(/.exec(line)?.[1];
    if (library !== undefined) copy(library, tree, library);
  }
  copy(join(ROOT, "recipes/shop/src"), tree, "/opt/shop/src");
  copy(join(ROOT, "recipes/shop/package.json"), tree, "/opt/shop/package.json");
  copy(join(ROOT, "node_modules/zod"), tree, "/opt/shop/node_modules/zod");
  return await packLayer(store, await walkDirectory(tree), { section: "bootstrap" });
}

function copy(from: string, tree: string, to: string): void {
  mkdirSync(dirname(join(tree, to)), { recursive: true });
  cpSync(from, join(tree, to), { recursive: true, dereference: true });
}
