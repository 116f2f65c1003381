import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Digest } from "../../manifests/digest.ts";
import { EMPTY_CHAIN } from "../chain.ts";
import { scanTree } from "../tree/scan.ts";
import { machineCodename, machineSources, sourcesFor } from "./apt.ts";
import { makeDebian } from "./debian.ts";
import { type Base, type BaseShop, baseKey, packBase, recall, remember } from "./shop.ts";

/**
 * `FROM debian:SUITE`. A pinned base comes from the cache when it is there; otherwise one is made from the machine's
 * mirror, unless the same suite, sources and epoch were made before and `fresh` does not ask for a new one.
 */
export async function importDebian(
  suite: string,
  pinned: Digest | undefined,
  fresh: boolean,
  shop: BaseShop,
): Promise<Base> {
  const sources = sourcesFor(suite, machineCodename(), machineSources());
  const made = baseKey("debian", JSON.stringify([suite, sources, shop.epoch, shop.compression]));
  const byContent = (digest: string) => baseKey("tree", `${digest} ${shop.compression}`);
  const present =
    pinned === undefined ? (fresh ? undefined : await recall(made, shop)) : await recall(byContent(pinned), shop);
  if (present !== undefined) return present;

  return shop.cache.withWork(async (work) => {
    const tree = join(work, "tree");
    await mkdir(tree);
    const root = join(tree, "root");
    const { epoch, signal, onOutput } = shop;
    await makeDebian(root, { suite, sources, epoch, work, signal, onOutput });
    const entries = await scanTree(root, epoch);
    const layer = await packBase([entries], shop);
    const base: Base = {
      digest: layer.diffId,
      trees: [await shop.cache.keepTree(tree, entries, EMPTY_CHAIN.id)],
      layers: [layer],
      config: undefined,
    };
    await remember(byContent(base.digest), base, shop);
    await remember(made, base, shop);
    return base;
  });
}
