/** What a made-up ELF file says. */
export interface ElfFacts {
  wide: boolean;
  little: boolean;
  interpreter?: string;
  needed?: string[];
  runpath?: string;
  rpath?: string;
}

/** A minimal ELF file with program headers alone, laid out from the specification (System V ABI, chapters 4 and 5). */
export function makeElf(facts: ElfFacts): Buffer {
  const { wide, little, interpreter, needed = [], runpath, rpath } = facts;
  const word = wide ? 8 : 4;
  const strings = ["", ...needed, runpath ?? "", rpath ?? ""];
  const table = Buffer.from(`${strings.join("\0")}\0`, "latin1");
  const offsetOf = (text: string) => table.indexOf(`\0${text}\0`, 0, "latin1") + 1;
  const tableAt = 0x400;
  const dynamicAt = 0x600;
  const interpAt = 0x300;
  const tags: [number, number][] = needed.map((name) => [1, offsetOf(name)]);
  if (runpath !== undefined) tags.push([29, offsetOf(runpath)]);
  if (rpath !== undefined) tags.push([15, offsetOf(rpath)]);
  if (tags.length > 0) tags.push([5, 0x10000 + tableAt], [0, 0]);

  const bytes = Buffer.alloc(0x900);
  const put = (at: number, size: number, value: number) => {
    if (size === 8) little ? bytes.writeBigUInt64LE(BigInt(value), at) : bytes.writeBigUInt64BE(BigInt(value), at);
    else little ? bytes.writeUIntLE(value, at, size) : bytes.writeUIntBE(value, at, size);
  };
  bytes.write("\x7fELF", "latin1");
  bytes.set([wide ? 2 : 1, little ? 1 : 2, 1], 4);
  put(16, 2, 3);
  put(18, 2, 62);
  const segments: [type: number, offset: number, address: number, size: number][] = [[1, 0, 0x10000, bytes.length]];
  if (interpreter !== undefined) segments.push([3, interpAt, 0x10000 + interpAt, interpreter.length + 1]);
  if (tags.length > 0) segments.push([2, dynamicAt, 0x10000 + dynamicAt, tags.length * word * 2]);
  put(wide ? 32 : 28, word, 0x80);
  put(wide ? 54 : 42, 2, wide ? 56 : 32);
  put(wide ? 56 : 44, 2, segments.length);
  for (const [index, [type, offset, address, size]] of segments.entries()) {
    const at = 0x80 + index * (wide ? 56 : 32);
    put(at, 4, type);
    put(at + (wide ? 8 : 4), word, offset);
    put(at + (wide ? 16 : 8), word, address);
    put(at + (wide ? 32 : 16), word, size);
  }
  bytes.write(`${interpreter ?? ""}\0`, interpAt, "latin1");
  table.copy(bytes, tableAt);
  for (const [index, [tag, value]] of tags.entries()) {
    put(dynamicAt + index * word * 2, word, tag);
    put(dynamicAt + index * word * 2 + word, word, value);
  }
  return bytes;
}
