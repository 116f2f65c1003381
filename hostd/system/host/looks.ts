import { mkdir, mkdtemp, readdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { unlessMissing } from "../../../effects/errno.ts";
import { unmount, unmountBelow } from "../mount.ts";

/** Directories on which something is mounted to be looked at, each for that moment. */
export interface Looks {
  /** Gives `look` a directory with what `mount` mounted there, and unmounts it whatever happens. */
  look<T>(mount: (directory: string) => Promise<unknown>, look: (directory: string) => Promise<T>): Promise<T>;
  /** Unmounts what a killed hostd left; answers how much that was. */
  endLeft(): Promise<number>;
}

export function openLooks(runDirectory: string): Looks {
  const place = join(runDirectory, "looks");
  return {
    async look(mount, look) {
      await mkdir(place, { recursive: true });
      const directory = await mkdtemp(join(place, "look-"));
      try {
        await mount(directory);
        try {
          return await look(directory);
        } finally {
          await unmount(directory, { lazy: true });
        }
      } finally {
        await rmdir(directory);
      }
    },
    async endLeft() {
      await unmountBelow(place);
      const left = (await unlessMissing(readdir(place))) ?? [];
      for (const name of left) await rmdir(join(place, name)); // never what is in it: it may be mounted still
      return left.length;
    },
  };
}
