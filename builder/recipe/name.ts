import { posix } from "node:path";

const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * The product a recipe file is named for: `shop.recipe`, `shop.Dockerfile` and `Dockerfile.shop` are `shop`; a bare
 * `Dockerfile` is named for its directory. undefined when that gives no product name.
 */
export function nameFromFile(file: string): string | undefined {
  const base = posix.basename(file);
  const plain = /^(?:Dockerfile|Containerfile|recipe)$/i.test(base);
  const named = /^(?:(?:Dockerfile|Containerfile)\.(.+)|(.+)\.(?:recipe|Dockerfile|Containerfile))$/i.exec(base);
  const word = plain ? tidy(posix.basename(posix.dirname(file))) : (named?.[1] ?? named?.[2] ?? base);
  return isName(word) ? word : undefined;
}

export function isName(word: string): boolean {
  return NAME.test(word);
}

/** A directory has any name: letters go lower, the rest becomes `-`; without one the product is `image`. */
function tidy(directory: string): string {
  const tidied = directory
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 63);
  return tidied.replace(/^-+|-+$/g, "") || "image";
}
