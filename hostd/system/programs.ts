import { fileURLToPath } from "node:url";
import { BUNDLED } from "../bundled.ts";

/** Programs that hostd starts and that are files of their own, beside its sources or beside its bundle (bundle.ts). */
export const PROGRAMS = {
  /** What a unit starts: picks the Node and its flags. */
  hostd: beside(BUNDLED ? "./hostd" : "../../bin/hostd"),
  holder: beside("./holder.pl"),
  steward: beside("./steward.pl"),
  prepare: beside("./prepare.pl"),
  enter: beside("./enter.pl"),
  opaque: beside("./opaque.pl"),
  laydown: beside(BUNDLED ? "./laydown.cjs" : "./laydown-main.ts"),
  hashBlocks: beside(BUNDLED ? "./hash-blocks.cjs" : "./hash-blocks-main.ts"),
} as const;

function beside(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}
