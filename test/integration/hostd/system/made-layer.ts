import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { packLayer } from "../../../../images/layer/pack.ts";
import { walkDirectory } from "../../../../images/layer/walk.ts";
import { openStore } from "../../../../images/store.ts";
import { type Descriptor, verityOf } from "../../../../manifests/image.ts";
import { type Fixture, makeDirectory } from "./fixture.ts";

interface Made {
  blob: string;
  layer: Descriptor;
  root: string;
}

/** A layer from files given as path -> content. */
async function makeLayer({ directory }: Fixture, name: string, files: Record<string, string>): Promise<Made> {
  const tree = makeDirectory(directory, "trees", name);
  for (const [path, content] of Object.entries(files)) {
    makeDirectory(tree, path, "..");
    writeFileSync(join(tree, path), content);
  }
  const store = await openStore(join(directory, "store"));
  const { descriptor } = await packLayer(store, await walkDirectory(tree), { section: "deploy" });
  return { blob: store.pathOf(descriptor.digest), layer: descriptor, root: verityOf(descriptor).root };
}

/** Two layers, laid down: the upper one has another `etc/name`. */
export async function layDownAll(fixture: Fixture) {
  const base = await makeLayer(fixture, "base", { "etc/name": "base", "usr/big": "x".repeat(50_000) });
  const top = await makeLayer(fixture, "top", { "etc/name": "top" });
  for (const made of [base, top]) await fixture.node.layDownLayer(made);
  return { base, top, baseVerity: verityOf(base.layer), topVerity: verityOf(top.layer) };
}
