import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { limitCallers } from "../../../hostd/api/callers.ts";
import { openClient } from "../../../hostd/client.ts";
import { brokenEvent } from "../../../hostd/journal/events.ts";
import { eventsDocumentSchema } from "../../../manifests/event.ts";
import { eventually, type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };

describeWith(NEEDS, "callers of hostd's socket", () => {
  test("the socket is its owner's alone", () =>
    withRig(async (rig) => {
      await rig.start();
      expect(statSync(socketOf(rig)).mode & 0o777).toBe(0o600);
    }));

  test.each([
    ["a body that is no JSON", post("/v1/apps/shop/stage", "{"), 400],
    ["a body that is not UTF-8", post("/v1/apps/shop/stage", "\xff\xfe"), 400],
    ["a field nobody knows", post("/v1/apps/shop/stage", '{"colour":1}'), 400],
    ["a path with ..", post("/v1/apps/..%2f..%2fetc/stage", "{}"), 400],
    ["a path that is not well formed", "GET /v1/apps/%ff HTTP/1.1\r\nhost: x\r\n\r\n", 400],
    ["a route that is not there", "GET /v1/nothing HTTP/1.1\r\nhost: x\r\n\r\n", 404],
    ["a method that is not there", "DELETE /v1/status HTTP/1.1\r\nhost: x\r\n\r\n", 404],
    ["a body beyond the limit", post("/v1/apps/shop/stage", `"${"a".repeat(300_000)}"`), 413],
    ["headers beyond the limit", `GET /v1/status HTTP/1.1\r\nhost: x\r\nx: ${"a".repeat(20_000)}\r\n\r\n`, 431],
    ["what is no HTTP", "\0\0\0\0\r\n\r\n", 400],
  ])("%s gets its error, and hostd goes on serving", (_title, bytes, status) =>
    withRig(async (rig) => {
      await rig.start();
      expect(await raw(rig, bytes)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      expect((await rig.client.status()).apps).toEqual([]);
    }),
  );

  test("an answer ends its connection, whatever it is and whatever the caller asked for", () =>
    withRig(async (rig) => {
      await rig.start();
      for (const target of ["/v1/status", "/v1/nothing"]) {
        const socket = connect(socketOf(rig)).resume();
        socket.write(`GET ${target} HTTP/1.1\r\nhost: x\r\nconnection: keep-alive\r\n\r\n`);
        await once(socket, "end", { signal: AbortSignal.timeout(3_000) });
      }
    }));

  test("a caller that closes its side gets its answer all the same, and the end", () =>
    withRig(async (rig) => {
      await rig.start();
      for (const [bytes, status] of [
        ["GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n", 200],
        [post("/v1/fsck", "{}"), 200],
        ["GET /v1/health HTTP/1.1\r\nhost:", 400],
        [post("/v1/fsck", "{}").slice(0, -1), 400],
      ] as const) {
        const socket = connect({ path: socketOf(rig), allowHalfOpen: true });
        socket.end(bytes);
        const answer = (await socket.setEncoding("utf8").toArray()).join("");
        expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
        expect(JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")))).toBeTypeOf("object");
      }
    }));

  test("in a crowd, callers that closed their side go first: they may be gone", async () => {
    const server = createServer((request, response) => void (request.url === "/quick" && response.end("answered")));
    Object.assign(server, { httpAllowHalfOpen: true });
    limitCallers(server, { connections: 2, headersTimeout: 10_000, requestTimeout: 10_000 });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    try {
      for (const _ of [1, 2]) {
        const asked = once(server, "request");
        connect({ port, host: "127.0.0.1", allowHalfOpen: true }).end("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n");
        const [{ socket }] = await asked;
        await once(socket, "end");
      }
      expect(await (await fetch(`http://127.0.0.1:${port}/quick`)).text()).toBe("answered");
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  test("callers that connect and say nothing are let go; others are served once they are gone", () =>
    withRig(async (rig) => {
      await rig.start();
      const idle = Array.from({ length: 200 }, () => connect(socketOf(rig)));
      for (const socket of idle) socket.on("error", () => {});
      await delay(200);
      for (const socket of idle) socket.destroy();
      await delay(100);
      expect((await rig.client.status()).apps).toEqual([]);
    }));

  test("callers that never end their request are let go by themselves, and then others are served", () =>
    withRig(async (rig) => {
      await rig.start();
      const slow = Array.from({ length: 64 }, () => connect(socketOf(rig)));
      for (const socket of slow) socket.on("error", () => {});
      for (const socket of slow) socket.write("GET /v1/status HTTP/1.1\r\nhost:");
      const status = await eventually(
        () => rig.client.status().catch(() => undefined),
        (answer) => answer !== undefined,
      );
      expect(status?.apps).toEqual([]);
      for (const socket of slow) socket.destroy();
    }));

  test("a caller who asked in time waits for the answer as long as it takes", async () => {
    const server = createServer((_, response) => void setTimeout(() => response.end("late"), 1_500));
    limitCallers(server, { connections: 8, headersTimeout: 500, requestTimeout: 500 });
    await once(server.listen(0, "127.0.0.1"), "listening");
    try {
      const { port } = server.address() as AddressInfo;
      expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("late");
    } finally {
      server.close();
    }
  });

  test("a user who does not own the socket is told so; hostd itself says that it needs root", () =>
    withRig(async (rig) => {
      await rig.start();
      chmodSync(rig.directory, 0o755);
      const status = asNobody(["status", "--socket", socketOf(rig)]);
      expect({ status: status.status, error: status.stderr }).toEqual({
        status: 1,
        error: expect.stringMatching(/not allowed to open hostd's socket\nhint: /),
      });
      expect(JSON.parse(status.stdout)).toMatchObject({ error: { code: "not-permitted" } });
      const health = asNobody(["health", "--socket", socketOf(rig)]);
      expect(health.status).toBe(2);
      expect(JSON.parse(health.stdout)).toMatchObject({ verdict: "unknown", error: { code: "not-permitted" } });
      const options = ["--state", "/nowhere", "--run", "/nowhere", "--repository", "/nowhere"];
      const serve = asNobody(["serve", ...options]);
      expect(serve.stderr).toMatch(/expected root\nhint: run it as root/);
      for (const words of [
        ["journal", "check"],
        ["reset", "--wipe"],
      ])
        expect(asNobody([...words, "--state", rig.state]).stderr).toMatch(
          /^error: \S+hostd\.db: permission denied\nhint: run it as root/,
        );
    }));

  test("a caller that goes away changes nothing: the operation goes on, and who comes back sees it", () =>
    withRig(async (rig) => {
      await rig.publish({ version: "1.0.0" });
      await rig.start();
      const leaving = new AbortController();
      const begun = await rig.client.begin("shop", "deploy", { requestId: "r1" });
      const waiting = rig.client.wait(begun, () => leaving.abort(), leaving.signal);
      expect((await waiting).state).toBe("running");
      const again = openClient(socketOf(rig));
      const ended = await again.wait(await again.operation(begun.id), () => {}, AbortSignal.timeout(30_000));
      expect(ended.state).toBe("done");
      const events = await chain(rig);
      expect(events.map(({ kind }) => kind)).toEqual([
        "hostd.started",
        "operation.started",
        "slot.staged",
        "data.format",
        "generation.current",
        "app.started",
        "slot.good",
        "operation.done",
      ]);
      expect(brokenEvent(events)).toBeUndefined();
    }));
});

const repository = join(import.meta.dirname, "../../..");

/** hostd as another user, who may not be able to reach this repository: it lies at /mnt for the length of the call. */
function asNobody(args: string[]) {
  const script =
    'mount --bind "$1" /mnt; shift; exec setpriv --reuid 65534 --regid 65534 --clear-groups /mnt/bin/hostd "$@"';
  const command = ["--mount", "--propagation", "private", "sh", "-euc", script, "sh", repository, ...args];
  return spawnSync("unshare", command, { encoding: "utf8", timeout: 20_000 });
}

function socketOf(rig: Rig): string {
  return join(rig.run, "hostd.sock");
}

function post(path: string, body: string): string {
  return `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${Buffer.byteLength(body, "latin1")}\r\n\r\n${body}`;
}

/** Bytes as they are; answers the beginning of what comes back. */
function raw(rig: Rig, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketOf(rig), () => socket.write(Buffer.from(bytes, "latin1")));
    socket.once("data", (text) => {
      resolve(text.toString());
      socket.destroy();
    });
    socket.once("error", reject);
    socket.once("close", () => resolve(""));
  });
}

async function chain(rig: Rig) {
  const text = await raw(rig, "GET /v1/events?limit=100 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  return eventsDocumentSchema.parse(JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4))).events;
}
