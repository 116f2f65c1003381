import { run } from "../../effects/process.ts";
import type { ListedEntry } from "../tree/listing.ts";

/** Sets the extended attributes of written entries, all in one run of setfattr (package attr): Node cannot. */
export async function writeXattrs(entries: readonly ListedEntry[], directory: string): Promise<void> {
  const dump = entries.flatMap((entry) => (entry.xattrs.size === 0 ? [] : [dumpOf(entry)]));
  if (dump.length === 0) return;
  await run(["setfattr", "--no-dereference", "--restore=-"], {
    cwd: directory,
    input: Buffer.from(dump.join("\n"), "latin1"),
  });
}

/** An entry's attributes as `getfattr --dump` writes them, in latin1: binary values stay what they are. */
export function dumpOf(entry: Pick<ListedEntry, "path" | "xattrs">): string {
  const lines = [...entry.xattrs].map(([name, value]) => `${octal(name)}=0x${value.toString("hex")}\n`);
  return `# file: ${octal(entry.path === "" ? "." : entry.path)}\n${lines.join("")}`;
}

function octal(text: string): string {
  return text.replace(/[\\\n\r=]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`);
}
