import { createServer, type Server, type Socket } from "node:net";

// A network cable with this process at its other end: frames of a virtual card come over a socket of 127.0.0.1, so a
// machine is looked at from outside without any device of the host's own.

/** Addresses on the cable: ours, and the machine's, which the test gives it. */
export const SCANNER = { ip: "192.0.2.1", mac: "02:00:00:00:00:01" };
export const SCANNED = { ip: "192.0.2.2", mac: "02:00:00:00:00:02" };

export interface Cable {
  /** QEMU's arguments for the card. */
  arguments: string[];
  /** Sends a SYN to every TCP port of the machine, again until each has answered; gives those that accept. */
  openPorts(ms: number): Promise<number[]>;
  close(): void;
}

const PORTS = 65_535;
const SOURCE_PORT = 40_000;
/** Ports asked at once: what the card's queue takes. */
const BATCH = 512;
const SYN = 0x02;
const RST = 0x04;
const SYN_ACK = 0x12;

export async function openCable(): Promise<Cable> {
  let socket: Socket | undefined;
  const answers = new Map<number, "open" | "closed">();
  const server: Server = createServer((connected) => {
    socket = connected;
    let kept = Buffer.alloc(0);
    connected.on("error", () => {}); // the machine's power was cut
    connected.on("data", (chunk) => {
      kept = Buffer.concat([kept, chunk]);
      while (kept.length >= 4 && kept.length >= 4 + kept.readUInt32BE(0)) {
        const length = kept.readUInt32BE(0);
        readFrame(kept.subarray(4, 4 + length), answers);
        kept = kept.subarray(4 + length);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new TypeError("expected a port");
  return {
    arguments: [
      ...["-netdev", `socket,id=cable,connect=127.0.0.1:${address.port}`],
      ...["-device", `virtio-net-pci,netdev=cable,mac=${SCANNED.mac}`],
    ],
    async openPorts(ms) {
      const until = Date.now() + ms;
      answers.clear();
      while (answers.size < PORTS) {
        if (Date.now() > until)
          throw new Error(`expected an answer of ${PORTS} ports, got ${answers.size} in ${ms} ms`);
        const silent = Array.from({ length: PORTS }, (_, index) => index + 1).filter((port) => !answers.has(port));
        for (const port of silent.slice(0, BATCH)) socket?.write(frameOf(port));
        for (let waited = 0; waited < 1000 && silent.slice(0, BATCH).some((port) => !answers.has(port)); waited += 10) {
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      }
      return [...answers].flatMap(([port, answer]) => (answer === "open" ? [port] : [])).sort((a, b) => a - b);
    },
    close() {
      socket?.destroy();
      server.close();
    },
  };
}

/** Ethernet II, IPv4 without options, TCP; everything else on the cable is passed over. */
function readFrame(frame: Buffer, answers: Map<number, "open" | "closed">): void {
  const isTcp = frame.length >= 54 && frame.readUInt16BE(12) === 0x0800 && frame[23] === 6;
  if (!isTcp || frame.readUInt16BE(36) !== SOURCE_PORT) return;
  const flags = frame[47] ?? 0;
  if ((flags & SYN_ACK) === SYN_ACK) answers.set(frame.readUInt16BE(34), "open");
  else if ((flags & RST) !== 0) answers.set(frame.readUInt16BE(34), "closed");
}

/** A SYN to a port, as QEMU's socket carries it: its length, then the frame (RFC 894, 791, 9293). */
function frameOf(port: number): Buffer {
  const frame = Buffer.alloc(4 + 54);
  frame.writeUInt32BE(54, 0);
  const [ethernet, ip, tcp] = [frame.subarray(4), frame.subarray(18), frame.subarray(38)];
  Buffer.from((SCANNED.mac + SCANNER.mac).replaceAll(":", ""), "hex").copy(ethernet);
  ethernet.writeUInt16BE(0x0800, 12);
  ip[0] = 0x45;
  ip.writeUInt16BE(40, 2);
  ip[8] = 64;
  ip[9] = 6;
  Buffer.from([...SCANNER.ip.split("."), ...SCANNED.ip.split(".")].map(Number)).copy(ip, 12);
  ip.writeUInt16BE(checksum(ip.subarray(0, 20)), 10);
  tcp.writeUInt16BE(SOURCE_PORT, 0);
  tcp.writeUInt16BE(port, 2);
  tcp.writeUInt32BE(port, 4);
  tcp[12] = 5 << 4;
  tcp[13] = SYN;
  tcp.writeUInt16BE(1024, 14);
  const pseudo = Buffer.concat([ip.subarray(12, 20), Buffer.from([0, 6, 0, 20]), tcp.subarray(0, 20)]);
  tcp.writeUInt16BE(checksum(pseudo), 16);
  return frame;
}

/** The Internet checksum (RFC 1071). */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
