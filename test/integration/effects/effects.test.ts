import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { syncTree, writeDurably } from "../../../effects/durable.ts";
import { ProcessError, quoteCommand, run } from "../../../effects/process.ts";
import { openSource } from "../../../effects/source.ts";
import { withTemporaryDirectory } from "../../../effects/temporary.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "ostler-effects-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe("writeDurably", () => {
  test("replaces the file, sets its mode and leaves nothing else behind", async () => {
    const own = await mkdtemp(join(directory, "durable-"));
    await writeDurably(join(own, "state"), "one");
    await writeDurably(join(own, "state"), "two", 0o600);
    expect(await readFile(join(own, "state"), "utf8")).toBe("two");
    expect((await stat(join(own, "state"))).mode & 0o777).toBe(0o600);
    expect(await readdir(own)).toEqual(["state"]);
  });

  test("syncs the file before the rename and the directory after it", async () => {
    const script = `import { writeDurably } from ${JSON.stringify(join(import.meta.dirname, "../../../effects/durable.ts"))};
      await writeDurably(${JSON.stringify(join(directory, "traced"))}, "x");`;
    const trace = join(directory, "trace");
    const command = [
      "strace",
      "-f",
      "-o",
      trace,
      "-e",
      "trace=fsync,rename",
      process.execPath,
      "--input-type=module",
      "-e",
    ];
    await run([...command, script]);
    const calls = [...(await readFile(trace, "utf8")).matchAll(/\b(fsync|rename)\(/g)].map((match) => match[1]);
    expect(calls).toEqual(["fsync", "rename", "fsync"]);
  });
});

describe("syncTree", () => {
  test.each([3, 200])(
    "takes a tree of %i files, with links, pipes and names of any bytes, and changes nothing",
    async (count) => {
      const tree = await mkdtemp(join(directory, "tree-"));
      for (let index = 0; index < count; index += 1) await writeFile(join(tree, `file-${index}`), "x");
      await mkdir(join(tree, "folder"));
      await writeFile(Buffer.concat([Buffer.from(`${tree}/folder/`), Buffer.from([0xff, 0xfe])]), "x");
      await symlink("nowhere", join(tree, "link"));
      await run(["mkfifo", join(tree, "pipe")]);
      await syncTree(tree);
      expect(await readdir(tree)).toHaveLength(count + 3);
    },
  );
});

describe("run", () => {
  test("a failure carries the quoted command, the exit code and the last output", async () => {
    const failure = await run(["sh", "-c", "echo it broke >&2; exit 7"]).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ProcessError);
    expect((failure as ProcessError).message).toBe("sh -c 'echo it broke >&2; exit 7': exit code 7\nit broke");
    expect((failure as ProcessError).exitCode).toBe(7);
  });

  test("a program that takes too long is killed, and the failure says so", async () => {
    const failure = await run(["sleep", "30"], { timeout: 50 }).catch((error: unknown) => error);
    expect((failure as ProcessError).timedOut).toBe(true);
  });

  test("a program whose output fills memory is killed rather than cut short in silence", async () => {
    await expect(run(["sh", "-c", "exec cat /dev/zero"])).rejects.toThrow("killed by SIGKILL");
  });

  test("a missing program is named", async () => {
    await expect(run(["no-such-program"])).rejects.toThrow("no-such-program: program not found");
  });

  test("quoteCommand gives what a shell takes back", async () => {
    const words = ["printf", "%s|", "a b", "it's", "$HOME", "", "*"];
    expect((await run(["sh", "-c", quoteCommand(words)])).stdout).toBe("a b|it's|$HOME||*|");
  });
});

describe("openSource", () => {
  test("reads a directory and a static server alike, from an offset too", async () => {
    await writeFile(join(directory, "blob"), "0123456789");
    const server = createServer(async (request, response) => {
      const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
      if (request.url !== "/blob") return void response.writeHead(404).end();
      response.writeHead(start > 0 ? 206 : 200).end("0123456789".slice(start));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address() as { port: number };
    try {
      for (const source of [openSource(directory), openSource(`http://127.0.0.1:${address.port}/`)]) {
        expect((await source.read("blob", 100))?.toString()).toBe("0123456789");
        expect(await source.read("missing", 100)).toBeUndefined();
        await expect(source.read("blob", 9)).rejects.toThrow("expected at most 9 bytes");
        const rest = await source.stream("blob", 7);
        expect(rest && Buffer.concat(await Array.fromAsync(rest)).toString()).toBe("789");
        expect(() => source.stream("../etc/passwd")).toThrow("expected a plain relative path");
      }
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  test.each([
    ["refuses the connection", undefined, /: fetch failed: connect ECONNREFUSED /],
    [
      "sends elsewhere",
      (response: ServerResponse) => response.writeHead(302, { location: "/" }).end(),
      /: fetch failed: unexpected redirect$/,
    ],
    ["fails", (response: ServerResponse) => response.writeHead(503).end(), /: expected status 200, got 503$/],
    [
      "cuts its answer",
      (response: ServerResponse) => {
        response.writeHead(200, { "content-length": 10 });
        response.write("01234", () => response.destroy());
      },
      /: terminated: other side closed$/,
    ],
  ])("a server that %s is named, with what happened", async (_, answer, message) => {
    const server = createServer((_, response) => answer?.(response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    if (answer === undefined) await new Promise((resolve) => server.close(resolve));
    try {
      const failure = await openSource(url)
        .read("x", 100)
        .catch((error) => error);
      expect(failure).toMatchObject({ code: "source-unreachable", hint: expect.stringContaining("address") });
      expect(failure.message).toMatch(message);
      expect(failure.message.startsWith(`${url}/x: `)).toBe(true);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  test("what is no regular file is refused rather than waited for", async () => {
    await run(["mkfifo", join(directory, "pipe")]);
    await expect(openSource(directory).read("pipe", 1)).rejects.toThrow(
      `${join(directory, "pipe")}: expected a regular file, got another kind`,
    );
  });
});

test("withTemporaryDirectory removes the directory when the work throws", async () => {
  const parent = await mkdtemp(join(directory, "scope-"));
  await expect(withTemporaryDirectory(parent, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(await readdir(parent)).toEqual([]);
});
