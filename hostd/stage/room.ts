import type { Descriptor } from "../../manifests/image.ts";
import { verityOf } from "../../manifests/image.ts";
import { HostdError } from "../error.ts";

/** Part of an EROFS image that its hash tree adds: 32 bytes per 4096, level upon level, and a superblock. */
const TREE_SHARE = 1 / 126;
const TREE_FIXED = 8192;

/** Bytes of these layers once they are laid down. */
export function roomFor(layers: readonly Descriptor[]): number {
  return Math.ceil(layers.reduce((sum, layer) => sum + verityOf(layer).size * (1 + TREE_SHARE) + TREE_FIXED, 0));
}

/** Refuses, before the first layer is asked for, what would not leave the reserve free. */
export function refuseWithoutRoom(input: { needed: number; free: number; reserve: number; directory: string }): void {
  const { needed, free, reserve, directory } = input;
  if (needed + reserve <= free) return;
  throw new HostdError(
    "no-space",
    `${directory}: expected ${needed + reserve} bytes free (${needed} to stage, ${reserve} in reserve), got ${free}`,
    {
      hint: "unpin or forget what is not needed, or keep fewer versions: hostd serve --keep",
      details: { needed, free, reserve },
    },
  );
}
