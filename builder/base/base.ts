import { resolve } from "node:path";
import type { Digest } from "../../manifests/digest.ts";
import type { From } from "../recipe/recipe.ts";
import { importDebian } from "./import-debian.ts";
import { importImage } from "./import-image.ts";
import { importTar } from "./import-tar.ts";
import type { Base, BaseShop } from "./shop.ts";

/**
 * Makes or fetches what a FROM names, or takes it from the cache. With `pinned` exactly that content is looked for; what
 * comes back may still be another, which the caller compares. `fresh` asks the source again.
 */
export async function openBase(from: From, pinned: Digest | undefined, fresh: boolean, shop: BaseShop): Promise<Base> {
  switch (from.kind) {
    case "scratch":
      throw new TypeError("expected a FROM that gives a tree, got scratch");
    case "debian":
      return importDebian(from.suite, pinned, fresh, shop);
    case "tar":
      return importTar(resolve(shop.recipeDirectory, from.path), from, shop);
    case "image":
    case "oci":
    case "registry":
      return importImage(from, pinned, shop);
  }
}
