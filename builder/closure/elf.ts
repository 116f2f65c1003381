import { BuildError } from "../error.ts";

/** A file that can be read in places; reads past the end give less. */
export interface Readable {
  size: number;
  read(offset: number, length: number): Buffer;
}

/** What the dynamic loader learns from an ELF file (System V ABI, chapters 4 and 5). */
export interface Elf {
  /** Class, byte order and machine: libraries of another kind are passed over. */
  kind: string;
  machine: number;
  /** PT_INTERP: the loader itself. */
  interpreter: string | undefined;
  needed: string[];
  rpath: string[];
  runpath: string[];
}

/** Far above what linkers make, low enough that no file can make the reader work long. */
const LIMITS = { programHeaders: 1024, dynamicBytes: 1024 * 1024, stringBytes: 4096 } as const;

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NEEDED = 1;
const DT_STRTAB = 5;
const DT_RPATH = 15;
const DT_RUNPATH = 29;

interface Segment {
  type: number;
  offset: number;
  address: number;
  fileSize: number;
}

/** Reads the dynamic linking facts of a file; undefined where it is no ELF file. A broken one is refused. */
export function readElf(file: Readable): Elf | undefined {
  const ident = file.read(0, 16);
  if (ident.length < 16 || ident.readUInt32BE(0) !== 0x7f454c46) return undefined;
  const view = openView(file, ident[4] === 2, ident[5] === 1);
  if ((ident[4] !== 1 && ident[4] !== 2) || (ident[5] !== 1 && ident[5] !== 2)) throw broken("class and byte order");
  const segments = readSegments(view);
  const machine = view.half(18);
  const interp = segments.find((segment) => segment.type === PT_INTERP);
  const interpreter = interp === undefined ? undefined : view.string(interp.offset, interp.offset + interp.fileSize);
  const dynamic = readDynamic(view, segments);
  const paths = (tag: number) =>
    dynamic.strings(tag).flatMap((value) => value.split(":").filter((path) => path !== ""));
  return {
    kind: `${ident[4]}:${ident[5]}:${machine}`,
    machine,
    interpreter,
    needed: dynamic.strings(DT_NEEDED),
    rpath: paths(DT_RPATH),
    runpath: paths(DT_RUNPATH),
  };
}

interface View {
  wide: boolean;
  half(offset: number): number;
  /** A 32-bit word, or an address-sized one. */
  word(offset: number): number;
  address(offset: number): number;
  /** An address-sized word of any value, rounded where it is beyond 2^53. */
  tag(offset: number): number;
  bytes(offset: number, length: number): Buffer;
  /** A string that ends with NUL, before `limit`. */
  string(offset: number, limit?: number): string;
}

function openView(file: Readable, wide: boolean, little: boolean): View {
  const bytes = (offset: number, length: number) => {
    if (!Number.isSafeInteger(offset) || offset < 0 || offset + length > file.size)
      throw broken("an offset inside the file");
    const read = file.read(offset, length);
    if (read.length < length) throw broken("a whole file");
    return read;
  };
  const unsigned = (offset: number, length: 2 | 4) =>
    little ? bytes(offset, length).readUIntLE(0, length) : bytes(offset, length).readUIntBE(0, length);
  const anyLong = (offset: number) =>
    little ? bytes(offset, 8).readBigUInt64LE() : bytes(offset, 8).readBigUInt64BE();
  const long = (offset: number) => {
    const value = anyLong(offset);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw broken("an address below 2^53");
    return Number(value);
  };
  return {
    wide,
    bytes,
    half: (offset) => unsigned(offset, 2),
    word: (offset) => unsigned(offset, 4),
    address: (offset) => (wide ? long(offset) : unsigned(offset, 4)),
    tag: (offset) => (wide ? Number(anyLong(offset)) : unsigned(offset, 4)),
    string(offset, limit = file.size) {
      const length = Math.min(LIMITS.stringBytes, limit - offset, file.size - offset);
      if (length <= 0) throw broken("a string inside the file");
      const text = bytes(offset, length);
      const end = text.indexOf(0);
      if (end < 0) throw broken(`a string of at most ${LIMITS.stringBytes} bytes`);
      return text.toString("latin1", 0, end);
    },
  };
}

function readSegments(view: View): Segment[] {
  const at = view.wide
    ? { offset: 32, size: 54, count: 56, entry: 56 }
    : { offset: 28, size: 42, count: 44, entry: 32 };
  const [start, size, count] = [view.address(at.offset), view.half(at.size), view.half(at.count)];
  if (count > LIMITS.programHeaders) throw broken(`at most ${LIMITS.programHeaders} program headers`);
  if (count > 0 && size < at.entry) throw broken(`program headers of ${at.entry} bytes`);
  return Array.from({ length: count }, (_, index) => {
    const here = start + index * size;
    const field = view.wide ? { offset: 8, address: 16, fileSize: 32 } : { offset: 4, address: 8, fileSize: 16 };
    return {
      type: view.word(here),
      offset: view.address(here + field.offset),
      address: view.address(here + field.address),
      fileSize: view.address(here + field.fileSize),
    };
  });
}

function readDynamic(view: View, segments: readonly Segment[]): { strings(tag: number): string[] } {
  const segment = segments.find(({ type }) => type === PT_DYNAMIC);
  if (segment === undefined) return { strings: () => [] };
  if (segment.fileSize > LIMITS.dynamicBytes) throw broken(`a dynamic section of at most ${LIMITS.dynamicBytes} bytes`);
  const step = view.wide ? 16 : 8;
  const entries: { tag: number; value: number }[] = [];
  for (let at = 0; at + step <= segment.fileSize; at += step) {
    const tag = view.tag(segment.offset + at);
    if (tag === 0) break;
    // only these tags are read: the values of others may be anything
    const wanted = tag === DT_NEEDED || tag === DT_STRTAB || tag === DT_RPATH || tag === DT_RUNPATH;
    if (wanted) entries.push({ tag, value: view.address(segment.offset + at + step / 2) });
  }
  const table = entries.find(({ tag }) => tag === DT_STRTAB)?.value;
  return {
    strings: (tag) =>
      entries.filter((entry) => entry.tag === tag).map(({ value }) => view.string(toOffset(segments, table) + value)),
  };
}

function toOffset(segments: readonly Segment[], address: number | undefined): number {
  const segment = segments.find(
    ({ type, address: start, fileSize }) =>
      type === PT_LOAD && address !== undefined && address >= start && address < start + fileSize,
  );
  if (segment === undefined || address === undefined) throw broken("a string table in a loaded segment");
  return segment.offset + address - segment.address;
}

function broken(expected: string): BuildError {
  return new BuildError("not-elf", `broken ELF file: expected ${expected}`);
}
