/** A PE32+ program of one section, with room for more headers: what an EFI stub looks like to whoever adds to it. */
export function makeStub(): Buffer {
  const stub = Buffer.alloc(4096 + 512);
  stub.write("MZ", 0, "latin1");
  stub.writeUInt32LE(0x80, 0x3c);
  stub.write("PE\0\0", 0x80, "latin1");
  stub.writeUInt16LE(1, 0x86); // sections
  stub.writeUInt32LE(4096, 0x8c); // a symbol table, which goes
  stub.writeUInt32LE(7, 0x90);
  stub.writeUInt16LE(240, 0x94); // bytes of the optional header
  const optional = 0x98;
  stub.writeUInt16LE(0x20b, optional);
  stub.writeUInt32LE(512, optional + 32);
  stub.writeUInt32LE(512, optional + 36);
  stub.writeUInt32LE(0x2000, optional + 56);
  stub.writeUInt32LE(1024, optional + 60);
  const section = optional + 240;
  stub.write(".text", section, "latin1");
  stub.writeUInt32LE(0x300, section + 8);
  stub.writeUInt32LE(0x1000, section + 12);
  stub.writeUInt32LE(3072, section + 16);
  stub.writeUInt32LE(1024, section + 20);
  stub.fill(0xc3, 1024, 4096);
  stub.fill(0x55, 4096); // the symbols
  return stub;
}

export interface ReadSection {
  name: string;
  content: Buffer;
  address: number;
}

/** The sections of a PE32+ file, read as a loader does. */
export function readSections(file: Buffer): ReadSection[] {
  const coff = file.readUInt32LE(0x3c);
  const table = coff + 24 + file.readUInt16LE(coff + 20);
  return Array.from({ length: file.readUInt16LE(coff + 6) }, (_, index) => {
    const at = table + index * 40;
    const [size, address, , rawAt] = [8, 12, 16, 20].map((offset) => file.readUInt32LE(at + offset)) as [
      number,
      number,
      number,
      number,
    ];
    const name = file.toString("latin1", at, at + 8).replace(/\0+$/, "");
    return { name, address, content: file.subarray(rawAt, rawAt + size) };
  });
}
