import { BuildError } from "../error.ts";

// A unified kernel image: an EFI program (the stub) with what it starts in sections of its own (UAPI group, "Unified
// Kernel Image"). The layout is ours, so that two builds give the same bytes and kernel and initrd lie at whole parts.

export interface UkiInput {
  stub: Buffer;
  /** What systemd-boot names and sorts the entry by. */
  osRelease: string;
  commandLine: string;
  linux: Buffer;
  initrd: Buffer;
}

/** The parts of a UKI; one behind the other they are the file. A new command line makes a new head, and nothing else. */
export interface UkiParts {
  head: Buffer;
  linux: Buffer;
  initrd: Buffer;
}

/** Offsets in the PE headers, PE format specification of Microsoft, for PE32+. */
const PE_OFFSET_AT = 0x3c;
const COFF = { sections: 6, symbols: 12, symbolCount: 16, optionalSize: 20, size: 24 } as const;
const OPTIONAL = {
  magic: 0,
  initialized: 8,
  sectionAlignment: 32,
  fileAlignment: 36,
  imageSize: 56,
  headersSize: 60,
  checksum: 64,
} as const;
const PE32_PLUS = 0x20b;
const SECTION = { virtualSize: 8, address: 12, rawSize: 16, rawAt: 20, flags: 36, size: 40 } as const;

/** Contents that are read: IMAGE_SCN_CNT_INITIALIZED_DATA, IMAGE_SCN_MEM_READ. */
const READ_DATA = 0x40000040;

/** Addresses of our sections: whole pages, as the kernel wants its own. */
const PAGE = 4096;

/** Bytes in memory. */
const LARGEST_STUB = 64 * 1024 * 1024;

interface Section {
  name: string;
  content: Buffer;
}

/** Composes a UKI. The same input gives the same bytes. Pure. */
export function composeUki(input: UkiInput): UkiParts {
  const pe = readStub(input.stub);
  const text = (value: string) => Buffer.from(value, "utf8");
  const sections: Section[] = [
    { name: ".osrel", content: text(input.osRelease) },
    { name: ".cmdline", content: text(input.commandLine) },
    { name: ".linux", content: input.linux },
    { name: ".initrd", content: input.initrd },
  ];
  const padded = sections.map(({ content }) => pad(content, pe.fileAlignment));
  const stub = pad(Buffer.from(input.stub.subarray(0, pe.end)), pe.fileAlignment);
  addHeaders(stub, pe, sections, padded);
  const [osRelease, commandLine, linux, initrd] = padded as [Buffer, Buffer, Buffer, Buffer];
  return { head: Buffer.concat([stub, osRelease, commandLine]), linux, initrd };
}

interface Stub {
  /** Of the optional header. */
  optional: number;
  coff: number;
  /** Where the next section header goes. */
  free: number;
  fileAlignment: number;
  /** End of the last section in the file and in memory; symbols behind it are left out. */
  end: number;
  addressEnd: number;
}

function readStub(stub: Buffer): Stub {
  const refuse = (what: string) => new BuildError("boot-file", `BOOT --stub: expected an EFI program, got ${what}`);
  if (stub.length < 4096 || stub.toString("latin1", 0, 2) !== "MZ") throw refuse("other bytes");
  const coff = stub.readUInt32LE(PE_OFFSET_AT);
  if (coff > 1024 || stub.toString("latin1", coff, coff + 4) !== "PE\0\0") throw refuse("no PE header");
  const optional = coff + COFF.size;
  if (stub.readUInt16LE(optional + OPTIONAL.magic) !== PE32_PLUS) throw refuse("a program that is not PE32+");
  const table = optional + stub.readUInt16LE(coff + COFF.optionalSize);
  const count = stub.readUInt16LE(coff + COFF.sections);
  const headersSize = stub.readUInt32LE(optional + OPTIONAL.headersSize);
  const free = table + count * SECTION.size;
  if (free + 4 * SECTION.size > headersSize || headersSize > stub.length)
    throw refuse("no room for four more sections");
  const headers = Array.from({ length: count }, (_, index) => table + index * SECTION.size);
  const ends = headers.map((at) => stub.readUInt32LE(at + SECTION.rawAt) + stub.readUInt32LE(at + SECTION.rawSize));
  const addressEnds = headers.map(
    (at) => stub.readUInt32LE(at + SECTION.address) + stub.readUInt32LE(at + SECTION.virtualSize),
  );
  const end = Math.max(...ends);
  if (end > stub.length || end < headersSize) throw refuse("one that is cut short");
  if (Math.max(...addressEnds) > LARGEST_STUB) throw refuse("one that wants more memory than a stub does");
  const alignments = [OPTIONAL.fileAlignment, OPTIONAL.sectionAlignment].map((at) => stub.readUInt32LE(optional + at));
  if (!alignments.every((bytes) => bytes === 512 || bytes === 4096)) throw refuse("other alignments than 512 and 4096");
  const [fileAlignment = 512] = alignments;
  return { optional, coff, free, fileAlignment, end, addressEnd: Math.max(...addressEnds) };
}

/** Writes the section headers, and what the others say about the whole. */
function addHeaders(image: Buffer, pe: Stub, sections: readonly Section[], padded: readonly Buffer[]): void {
  let [address, rawAt] = [pe.addressEnd, image.length];
  for (const [index, { name, content }] of sections.entries()) {
    const at = pe.free + index * SECTION.size;
    const rawSize = padded[index]?.length ?? 0;
    address = alignUp(address, PAGE);
    image.fill(0, at, at + SECTION.size);
    image.write(name, at, 8, "latin1");
    image.writeUInt32LE(content.length, at + SECTION.virtualSize);
    image.writeUInt32LE(address, at + SECTION.address);
    image.writeUInt32LE(rawSize, at + SECTION.rawSize);
    image.writeUInt32LE(rawAt, at + SECTION.rawAt);
    image.writeUInt32LE(READ_DATA, at + SECTION.flags);
    address += content.length;
    rawAt += rawSize;
  }
  const { coff, optional } = pe;
  const added = padded.reduce((sum, { length }) => sum + length, 0);
  image.writeUInt16LE(image.readUInt16LE(coff + COFF.sections) + sections.length, coff + COFF.sections);
  image.writeUInt32LE(0, coff + COFF.symbols);
  image.writeUInt32LE(0, coff + COFF.symbolCount);
  image.writeUInt32LE(image.readUInt32LE(optional + OPTIONAL.initialized) + added, optional + OPTIONAL.initialized);
  const alignment = image.readUInt32LE(optional + OPTIONAL.sectionAlignment);
  image.writeUInt32LE(alignUp(address, alignment), optional + OPTIONAL.imageSize);
  image.writeUInt32LE(0, optional + OPTIONAL.checksum); // firmware does not look at it; signing programs fill it in
}

function pad(content: Buffer, alignment: number): Buffer {
  const missing = alignUp(content.length, alignment) - content.length;
  return missing === 0 ? content : Buffer.concat([content, Buffer.alloc(missing)]);
}

function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}
