import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import * as z from "zod";
import { failureSchema } from "../../../manifests/node.ts";
import { type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };
/** How much hostd's memory may grow under attack, bytes; what 128 callers may make it hold at once is 32 MiB. */
const GROWTH = 96 * 1024 * 1024;

const HOST = "host: x\r\n";
const LONG = "a".repeat(6_000);

const get = (target: string) => `GET ${target} HTTP/1.1\r\n${HOST}\r\n`;
const post = (path: string, body: string, headers = "") =>
  `POST ${path} HTTP/1.1\r\n${HOST}${headers}content-length: ${Buffer.byteLength(body, "latin1")}\r\n\r\n${body}`;

const STAGE = "/v1/apps/shop/stage";

/** What is sent, and the status that must come back; `cut`: the connection ends without an answer. */
const SHAPES: [string, string, number | "cut"][] = [
  ["a name that climbs", get("/v1/apps/../status"), 404],
  ["a name that climbs, encoded", get("/v1/apps/%2e%2e"), 400],
  ["a slash in a name", get("/v1/apps/a%2fb"), 400],
  ["a NUL in a name", get("/v1/apps/shop%00"), 400],
  ["a line end in a name", get("/v1/apps/shop%0d%0aX: y"), 400],
  ["a very long name", get(`/v1/apps/${LONG}`), 400],
  ["a very long target", get(`/v1/status?x=${LONG}${LONG}`), 400],
  ["an encoding that is cut", get("/v1/apps/%e2%82"), 400],
  ["a path that ends in a slash", get("/v1/status/"), 404],
  ["a path with two slashes", get("//v1/status"), 404],
  ["another host in the target", get("http://evil/v1/status"), 400],
  ["a target that is no address", get("http://["), 400],
  ["an asterisk as target", "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n", 400],
  ["a query name given twice", get("/v1/changes?limit=1&limit=2"), 400],
  ["a query nobody knows", get("/v1/status?colour=red"), 400],
  ["a number that is none", get("/v1/operations/1e99"), 400],
  ["a number below 0", get("/v1/operations/-1"), 400],
  ["a limit beyond the limit", get("/v1/changes?limit=1000000"), 400],
  ["a prototype in the query", get("/v1/status?__proto__=1"), 400],
  ["a prototype in the body", post(STAGE, '{"__proto__":{"by":"me"},"constructor":1}'), 400],
  ["a list as body", post(STAGE, "[]"), 400],
  ["null as body", post(STAGE, "null"), 400],
  ["a number as name", post(STAGE, '{"by":1}'), 400],
  ["an escape sequence as caller", post(STAGE, '{"by":"\\u001b[2J"}'), 400],
  ["a body of brackets", post(STAGE, "[".repeat(200_000)), 400],
  ["a body of objects in each other", post(STAGE, `${'{"a":'.repeat(30_000)}1${"}".repeat(30_000)}`), 400],
  ["a body of ten thousand fields", post(STAGE, `{${Array.from({ length: 10_000 }, (_, at) => `"k${at}":1`)}}`), 400],
  ["a GET with a body", `GET /v1/status HTTP/1.1\r\n${HOST}content-length: 5\r\n\r\nhello`, 400],
  [
    "a GET that hides a second request",
    `GET /v1/status HTTP/1.1\r\n${HOST}content-length: 50\r\n\r\n${post(STAGE, "")}`,
    400,
  ],
  ["two lengths", `POST ${STAGE} HTTP/1.1\r\n${HOST}content-length: 2\r\ncontent-length: 50\r\n\r\n{}`, 400],
  [
    "a length and chunks",
    `POST ${STAGE} HTTP/1.1\r\n${HOST}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  ["chunks by another name", `POST ${STAGE} HTTP/1.1\r\n${HOST}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n`, 400],
  [
    "a chunk of impossible size",
    `POST ${STAGE} HTTP/1.1\r\n${HOST}transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n`,
    400,
  ],
  ["a length below 0", `POST ${STAGE} HTTP/1.1\r\n${HOST}content-length: -1\r\n\r\n`, 400],
  ["a blank before the colon", `GET /v1/status HTTP/1.1\r\nhost : x\r\n\r\n`, 400],
  ["a folded header", `GET /v1/status HTTP/1.1\r\n${HOST}x: a\r\n b\r\n\r\n`, 400],
  ["raw UTF-8 in the path", get("/v1/apps/\xc3\xa9"), 400],
  ["an expectation nobody knows", `GET /v1/status HTTP/1.1\r\n${HOST}expect: wonders\r\n\r\n`, 417],
  ["no host", "GET /v1/status HTTP/1.1\r\n\r\n", 400],
  ["a method nobody knows", `STEAL /v1/status HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["a method that is not there", `PUT /v1/status HTTP/1.1\r\n${HOST}content-length: 0\r\n\r\n`, 404],
  ["a version nobody knows", `GET /v1/status HTTP/9.9\r\n${HOST}\r\n`, 400],
  ["HTTP/2's first words", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
  ["a tunnel", `CONNECT evil:80 HTTP/1.1\r\n${HOST}\r\n`, "cut"],
  ["a thousand headers", `GET /v1/status HTTP/1.1\r\n${"x: y\r\n".repeat(4_000)}\r\n`, 431],
  [
    "chunks beyond the limit",
    `POST ${STAGE} HTTP/1.1\r\n${HOST}transfer-encoding: chunked\r\n\r\n80000\r\n${"a".repeat(0x80000)}`,
    413,
  ],
];

describeWith(NEEDS, "a hostile caller on hostd's socket", () => {
  test("gets an error document for every shape, hostd goes on serving, and its memory stays bounded", () =>
    withRig(async (rig) => {
      await rig.start();
      const { pid } = (await rig.client.status()).hostd;
      const before = memoryOf(pid);
      const wrong: string[] = [];
      for (const [title, bytes, expected] of SHAPES) {
        const answer = await exchange(rig, bytes);
        const got = /^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? "cut";
        if (got !== String(expected)) wrong.push(`${title}: expected ${expected}, got ${got}`);
        if (got !== "cut" && !isDocument(answer)) wrong.push(`${title}: no error document`);
        if (answer.length > 8_000) wrong.push(`${title}: ${answer.length} bytes of answer`);
      }
      expect(wrong).toEqual([]);
      for (const bytes of fc.sample(fc.uint8Array({ minLength: 1, maxLength: 2_000 }), { numRuns: 150, seed: 7 })) {
        await exchange(rig, Buffer.from(bytes).toString("latin1"), 50, 50);
      }
      expect((await rig.client.status()).hostd.pid).toBe(pid);
      expect(memoryOf(pid) - before).toBeLessThan(GROWTH);
      expect((await rig.client.changes({})).changes).toEqual([]);
    }));

  test("who holds thousands of connections, silent, slow or half way through, keeps nobody else out", () =>
    withRig(async (rig) => {
      await rig.start();
      const { pid } = (await rig.client.status()).hostd;
      const before = memoryOf(pid);
      const beginnings = ["", "GET /v1/sta", `POST ${STAGE} HTTP/1.1\r\n${HOST}content-length: 200000\r\n\r\n${LONG}`];
      const sockets: Socket[] = [];
      const slow = setInterval(() => {
        for (const socket of sockets) if (socket.writable) socket.write("a");
      }, 250);
      try {
        for (let round = 0; round < 10; round++) {
          for (let count = 0; count < 300; count++) {
            const socket = connect(socketOf(rig)).on("error", () => {});
            socket.write(beginnings[count % beginnings.length] ?? "");
            sockets.push(socket);
          }
          await delay(10);
          if (round % 3 === 0) expect((await rig.client.status()).hostd.pid).toBe(pid);
        }
        const asked = Date.now();
        for (let count = 0; count < 20; count++) expect((await rig.client.status()).hostd.pid).toBe(pid);
        expect(Date.now() - asked).toBeLessThan(5_000);
        expect(memoryOf(pid) - before).toBeLessThan(GROWTH);
        expect(descriptorsOf(pid)).toBeLessThan(250);
      } finally {
        clearInterval(slow);
        for (const socket of sockets) socket.destroy();
      }
      expect((await rig.client.status()).hostd.pid).toBe(pid);
    }));

  test("who waits for operations on every connection keeps nobody else out", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0", stable: 6_000 });
      await rig.start();
      const begun = await rig.client.begin("shop", "deploy", {});
      const sockets = Array.from({ length: 300 }, () => connect(socketOf(rig)).on("error", () => {}));
      for (const socket of sockets) socket.write(get(`/v1/operations/${begun.id}?wait=60000`));
      await delay(500);
      for (let count = 0; count < 10; count++) await rig.client.status();
      for (const socket of sockets) socket.destroy();
      const ended = await rig.client.wait(begun, () => {}, AbortSignal.timeout(60_000));
      expect(ended.state).toBe("done");
    }));

  test("who asks for much on every connection and takes no answer keeps nobody else out", () =>
    withRig(async (rig) => {
      await rig.start();
      const { pid } = (await rig.client.status()).hostd;
      const before = memoryOf(pid);
      const sockets = Array.from({ length: 200 }, () => connect(socketOf(rig)).on("error", () => {}));
      for (const socket of sockets) socket.pause().write(get("/v1/openapi.json").repeat(100));
      await delay(3_000);
      for (let count = 0; count < 10; count++) expect((await rig.client.status()).hostd.pid).toBe(pid);
      expect(memoryOf(pid) - before).toBeLessThan(GROWTH);
      for (const socket of sockets) socket.destroy();
    }));

  test("of another user does not reach it: the socket is refused by the kernel", () =>
    withRig(async (rig) => {
      await rig.start();
      chmodSync(rig.directory, 0o755);
      expect(existsSync(socketOf(rig))).toBe(true);
      const script =
        'use Socket; socket(my $s, AF_UNIX, SOCK_STREAM, 0); connect($s, sockaddr_un($ARGV[0])) or print "$!\\n"';
      const tried = spawnSync("perl", ["-e", script, socketOf(rig)], { uid: 65_534, gid: 65_534, encoding: "utf8" });
      expect(tried.stdout).toBe("Permission denied\n");
    }));
});

function socketOf(rig: Rig): string {
  return join(rig.run, "hostd.sock");
}

/**
 * Sends bytes and answers all that comes back until the end or, on a connection kept open, a moment of silence;
 * `first`: milliseconds until the first byte of it.
 */
function exchange(rig: Rig, bytes: string, silence = 400, first = 20_000): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect(socketOf(rig), () => socket.write(Buffer.from(bytes, "latin1")));
    socket.setTimeout(first, () => socket.destroy());
    socket.on("data", (text) => {
      socket.setTimeout(silence);
      answer += text.toString("latin1");
    });
    socket.on("error", () => {});
    socket.once("close", () => resolve(answer));
  });
}

function isDocument(answer: string): boolean {
  const body = answer.slice(answer.indexOf("\r\n\r\n") + 4);
  return z.object({ error: failureSchema }).safeParse(body === "" ? undefined : JSON.parse(body)).success;
}

function memoryOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1]) * 1024;
}

function descriptorsOf(pid: number): number {
  return spawnSync("ls", [`/proc/${pid}/fd`], { encoding: "utf8" }).stdout.split("\n").length;
}
