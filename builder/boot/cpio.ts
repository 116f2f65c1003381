/** An entry of an initrd; owner is root, time is 1970. */
export interface CpioEntry {
  /** Without a leading `/`; parents come before what is in them. */
  path: string;
  /** Type and permission bits, as st_mode has them. */
  mode: number;
  /** Content of a file, target of a symlink; empty for a directory. */
  bytes: Buffer;
}

const MAGIC = "070701";
const TRAILER = "TRAILER!!!";

/** An archive as the kernel unpacks it (Linux, Documentation/driver-api/early-userspace/buffer-format.rst, newc). Pure. */
export function writeCpio(entries: readonly CpioEntry[]): Buffer {
  const pieces = entries.flatMap((entry, index) => [header(entry, index + 1), pad(entry.bytes)]);
  return Buffer.concat([...pieces, header({ path: TRAILER, mode: 0, bytes: Buffer.alloc(0) }, 0)]);
}

function header({ path, mode, bytes }: CpioEntry, inode: number): Buffer {
  const name = Buffer.from(`${path}\0`, "latin1");
  const links = path === TRAILER || (mode & 0o170000) !== 0o040000 ? 1 : 2;
  const fields = [inode, mode, 0, 0, links, 0, bytes.length, 0, 0, 0, 0, name.length, 0];
  const text = MAGIC + fields.map((field) => field.toString(16).padStart(8, "0")).join("");
  return pad(Buffer.concat([Buffer.from(text, "latin1"), name]));
}

/** Everything in an archive begins at a multiple of four bytes. */
function pad(bytes: Buffer): Buffer {
  const missing = -bytes.length & 3;
  return missing === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(missing)]);
}
