import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { createServer, type Socket } from "node:net";

// A disk with a write cache, as QEMU's NBD client sees it (github.com/NetworkBlockDevice/nbd, doc/proto.md). It writes
// through to its file and remembers what each block held at the last flush; a power cut gives some of that back.

/** What a disk writes as one: no power cut leaves half of it. Bytes. */
const BLOCK = 4096;

/** What a power cut took: blocks written since the last flush, and how many of them are as they were before. */
export interface Cut {
  unflushed: number;
  lost: number;
}

export interface VolatileDisk {
  /** As QEMU's `file=` takes it. */
  address: string;
  /** Once QEMU is gone: each block that was written since the last flush stays or is as it was then, by chance. */
  cutPower(): Promise<Cut>;
  close(): void;
}

/** Serves a raw image on a unix socket. `random` decides what a power cut takes. */
export async function serveDisk(file: string, socket: string, random: () => number): Promise<VolatileDisk> {
  const disk = openSync(file, "r+");
  const before = new Map<number, Buffer>();

  const read = (at: number, length: number) => {
    const bytes = Buffer.alloc(length);
    readSync(disk, bytes, 0, length, at);
    return bytes;
  };
  function write(at: number, bytes: Buffer): void {
    const [first, end] = [Math.floor(at / BLOCK), Math.ceil((at + bytes.length) / BLOCK)];
    for (let block = first; block < end; block++) {
      if (!before.has(block)) before.set(block, read(block * BLOCK, BLOCK));
    }
    writeSync(disk, bytes, 0, bytes.length, at);
  }

  let served = Promise.resolve();
  const server = createServer((client) => {
    client.on("error", () => {}); // QEMU was killed
    const blocks = { size: fstatSync(disk).size, read, write, flush: () => before.clear() };
    served = serve(client, blocks).catch(() => void client.destroy());
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(socket, resolve));
  return {
    address: `nbd:unix:${socket}`,
    async cutPower() {
      await served; // what QEMU had sent was on the wire
      const chance = random();
      const lost = [...before].filter(() => random() < chance);
      for (const [block, bytes] of lost) writeSync(disk, bytes, 0, BLOCK, block * BLOCK);
      const cut = { unflushed: before.size, lost: lost.length };
      before.clear();
      return cut;
    },
    close() {
      server.close();
      closeSync(disk);
    },
  };
}

interface Blocks {
  size: number;
  read(at: number, length: number): Buffer;
  write(at: number, bytes: Buffer): void;
  flush(): void;
}

const HELLO = Buffer.from("NBDMAGICIHAVEOPT\x00\x03", "latin1"); // fixed newstyle, no zeroes
const OPTION_GO = 7;
const OPTION_ABORT = 2;
const [REPLY_ACK, REPLY_INFO, REPLY_UNSUPPORTED] = [1, 3, 0x80000001];
const [READ, WRITE, DISCONNECT, FLUSH] = [0, 1, 2, 3];
const FLAGS = 1 | 4; // flags, flush

async function serve(client: Socket, blocks: Blocks): Promise<void> {
  const take = reader(client);
  client.write(HELLO);
  await take(4);
  for (let going = false; !going; ) {
    const head = await take(16);
    const [option, length] = [head.readUInt32BE(8), head.readUInt32BE(12)];
    await take(length);
    if (option === OPTION_ABORT) return void client.end();
    going = option === OPTION_GO;
    if (!going) client.write(optionReply(option, REPLY_UNSUPPORTED));
    else
      client.write(
        Buffer.concat([optionReply(option, REPLY_INFO, exportInfo(blocks.size)), optionReply(option, REPLY_ACK)]),
      );
  }
  for (;;) {
    const head = await take(28);
    const [type, at, length] = [head.readUInt16BE(6), Number(head.readBigUInt64BE(16)), head.readUInt32BE(24)];
    if (type === DISCONNECT) return void client.end();
    let answer: Buffer = Buffer.alloc(0);
    if (type === READ) answer = blocks.read(at, length);
    else if (type === WRITE) blocks.write(at, await take(length));
    else if (type === FLUSH) blocks.flush();
    const reply = Buffer.alloc(16);
    reply.writeUInt32BE(0x67446698, 0);
    head.copy(reply, 8, 8, 16);
    client.write(Buffer.concat([reply, answer]));
  }
}

function optionReply(option: number, type: number, data: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(20);
  head.writeBigUInt64BE(0x3e889045565a9n, 0);
  head.writeUInt32BE(option, 8);
  head.writeUInt32BE(type, 12);
  head.writeUInt32BE(data.length, 16);
  return Buffer.concat([head, data]);
}

function exportInfo(size: number): Buffer {
  const info = Buffer.alloc(12);
  info.writeBigUInt64BE(BigInt(size), 2);
  info.writeUInt16BE(FLAGS, 10);
  return info;
}

/** Takes so many bytes as they come; fails when the other end is gone. */
function reader(client: Socket): (length: number) => Promise<Buffer> {
  const chunks = client[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let held: Buffer = Buffer.alloc(0);
  return async (length) => {
    const pieces = [held];
    let have = held.length;
    while (have < length) {
      const next = await chunks.next();
      if (next.done === true) throw new Error("the machine is gone");
      pieces.push(next.value);
      have += next.value.length;
    }
    const all = pieces.length === 1 ? held : Buffer.concat(pieces);
    held = all.subarray(length);
    return all.subarray(0, length);
  };
}
