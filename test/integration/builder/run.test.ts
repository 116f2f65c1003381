import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runTests } from "../../../builder/tests.ts";
import { describeWith } from "../../needs.ts";
import { extractWithTar, openShared, openWorkshop, type Shared } from "./workshop.ts";

describeWith({ root: true, programs: ["bwrap", "getfattr", "zstd", "setcap"] }, "RUN", () => {
  let shared: Shared;
  let count = 0;
  beforeAll(async () => {
    shared = await openShared();
  });
  afterAll(() => shared.remove());

  const open = () => openWorkshop(shared, `run-${++count}`);
  const run = async (lines: string, options = {}) => {
    const workshop = open();
    const result = await workshop.build(`FROM MINI\n${lines}\n`, options);
    return { workshop, result, layers: workshop.listLayers(result) };
  };
  const names = (layer: string[] | undefined) => (layer ?? []).map((line) => line.split(/\s+/).slice(5).join(" "));

  test.each([
    ["a command that fails", "RUN false"],
    ["a line of a heredoc that is not the last", "RUN <<EOF\nfalse\necho went on\nEOF"],
    ["a part of a pipe that is not the last", "RUN false | cat"],
    ["a pipe in a heredoc", "RUN <<EOF\nfalse | cat\necho went on\nEOF"],
    ["a command substitution", 'RUN x=$(false; echo went on); echo "$x"'],
    ["an unset variable", "RUN echo $NOT_SET"],
    ["an exec form", 'RUN ["/usr/bin/false"]'],
  ])("%s fails the step, and says where", async (_, line) => {
    await expect(run(line)).rejects.toMatchObject({
      code: "run-failed",
      message: expect.stringMatching(/thing\.recipe:2: step 1\/1: /),
    });
  });

  test("text of TEST and of hooks is as strict as that of RUN", async () => {
    const hook = "MIGRATE <<EOF\nfalse\necho went on\nEOF\n";
    const tests = [
      ...["true", "false | cat", "echo $NOT_SET", "<<EOF\nfalse\necho went on\nEOF"],
      ...["x=$(false; echo went on); echo $x", "<<EOF cat && false\ntext\nEOF"],
    ];
    const text = `CMD ["/bin/sh"]\n${hook}${tests.map((test) => `TEST ${test}\n`).join("")}`;
    const { result } = await run(text);
    const { suites } = await runTests(result, { progress: () => {}, signal: new AbortController().signal });
    expect(suites.map(({ exitCode }) => exitCode === 0)).toEqual([true, false, false, false, false, false]);
    expect(suites.map(({ output }) => output.trim())).toContain("text");
    const [program = "", ...migrate] = result.app?.hooks.migrate?.command ?? [];
    expect(spawnSync(program, migrate, { encoding: "utf8" })).toMatchObject({ status: 1, stdout: "" });
  });

  test("a failed step shows its exit code and its last output", async () => {
    const failing = run("RUN true\nRUN echo one && echo two >&2 && exit 7");
    await expect(failing).rejects.toMatchObject({
      message: expect.stringContaining("exit code 7\none\ntwo"),
      details: { line: 3, exitCode: 7 },
    });
  });

  test("a shell without pipefail refuses a pipe, and runs everything else", async () => {
    const bare = await openShared({ without: ["bash"] });
    try {
      const workshop = openWorkshop(bare, "no-bash");
      await workshop.build("FROM MINI\nRUN echo 'a | b' > /x || true\n");
      await expect(workshop.build("FROM MINI\nRUN echo a | cat\n")).rejects.toMatchObject({
        message: expect.stringContaining("expected a shell that sees a failed pipe"),
      });
      await expect(workshop.build("FROM MINI\nRUN <<EOF\nfalse\ntrue\nEOF\n")).rejects.toMatchObject({
        code: "run-failed",
      });
      const built = await workshop.build("FROM MINI\nTEST echo a | cat\nTEST <<EOF\nfalse\ntrue\nEOF\nTEST true\n");
      const { suites } = await runTests(built, { progress: () => {}, signal: new AbortController().signal });
      expect(suites.map(({ exitCode }) => exitCode)).toEqual([125, 1, 0]);
      expect(suites[0]?.output).toContain("expected a shell that sees a failed pipe");
    } finally {
      bare.remove();
    }
  });

  test("nothing of the sandbox is left in the layer", async () => {
    const { layers } = await run(
      "RUN --mount=type=cache,target=/var/cache/thing --mount=type=tmpfs,target=/scratch touch /made /var/cache/thing/x /scratch/y",
    );
    expect(names(layers[1])).toEqual(["./", "made"]);
  });

  test("a machine id that a package script made is emptied: nodes must not share one", async () => {
    const id = "0123456789abcdef0123456789abcdef";
    const { workshop, result, layers } = await run(
      `RUN mkdir -p /var/lib/dbus && echo ${id} > /etc/machine-id && echo ${id} > /var/lib/dbus/machine-id`,
    );
    expect(names(layers[1])).toEqual(["./", "etc/", "etc/machine-id", "var/", "var/lib/", "var/lib/dbus/"]);
    await extractWithTar(result, workshop.home, join(workshop.directory, "out"));
    expect(readFileSync(join(workshop.directory, "out/etc/machine-id"), "utf8")).toBe("");
  });

  test("links that a step makes never lead the builder out of its result", async () => {
    const workshop = open();
    const outside = join(workshop.directory, "outside");
    workshop.write("outside/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n");
    const result = await workshop.build(`FROM MINI\nRUN ln -s ${outside} /var && ln -s ${outside} /run\n`);
    expect(result.steps).toHaveLength(1);
    expect(readFileSync(join(outside, "lib/dbus/machine-id"), "utf8")).toHaveLength(33);
  });

  test("a step sees no path of the machine, its own processes only, and no network where it has none", async () => {
    const workshop = open();
    workshop.write("secret-on-machine", "");
    const lines = [
      "FROM MINI",
      "DEPLOY",
      `RUN test ! -e ${workshop.directory} && test "$(ls / | tr '\\n' ' ')" = "bin dev etc lib lib64 opt proc root sbin tmp usr "`,
      "RUN test $(ls /proc | grep -c '^[0-9]' || true) -lt 9 || true",
      'RUN test "$(wc -l < /proc/net/dev)" = 3 && cat /proc/net/fib_trie > /addresses',
      'RUN --network=default test "$(wc -l < /proc/net/dev)" -gt 3',
    ];
    const result = await workshop.build(`${lines.join("\n")}\n`);
    expect(result.inputs.network).toEqual(['RUN --network=default test "$(wc -l < /proc/net/dev)" -gt 3']);
    await extractWithTar(result, workshop.home, join(workshop.directory, "out"));
    expect(readFileSync(join(workshop.directory, "out/addresses"), "utf8")).toContain("127.0.0.1");
  });

  test("file capabilities, setuid bits, devices, hard links, long and odd names are kept exactly", async () => {
    const long = "n".repeat(200);
    const { workshop, result, layers } = await run(`RUN <<EOF
cp /usr/bin/true /capable && setcap cap_net_raw,cap_setuid+ep /capable
cp /usr/bin/true /owned && chown 1200:1300 /owned && chmod 6755 /owned
mknod /device c 5 2 && mknod /pipe p
echo linked > /a && ln /a /b && mkdir /z && ln /a /z/c
mkdir -p /${long}/${long} && touch /${long}/${long}/${long}
touch $'/raw\\xff\\nname'
EOF`);
    const out = join(workshop.directory, "out");
    await extractWithTar(result, workshop.home, out);
    const caps = execFileSync("getcap", [join(out, "capable")]).toString();
    expect(caps.trim()).toMatch(/cap_setuid,cap_net_raw=ep$|cap_net_raw,cap_setuid=ep$/);
    const stat = (path: string, format: string) =>
      execFileSync("stat", ["-c", format, join(out, path)])
        .toString()
        .trim();
    expect(stat("owned", "%a %u %g")).toBe("6755 1200 1300");
    expect(stat("device", "%F %t %T")).toBe("character special file 5 2");
    expect(stat("pipe", "%F")).toBe("fifo");
    expect(stat("z/c", "%h %i")).toBe(`3 ${stat("a", "%i")}`);
    expect(layers[1]?.join("\n")).toContain(`${long}/${long}/${long}`);
    expect(execFileSync("ls", ["-1", "--quoting-style=c", out]).toString()).toContain('"raw\\377\\nname"');
  });

  test("what a later step removes is gone from the image, and only what lies below is whited out", async () => {
    const { layers, workshop, result } = await run(
      "RUN mkdir /tmpdir && touch /tmpdir/x /stays && rm /etc/group\nRUN rm -r /tmpdir /etc/passwd",
    );
    expect(names(layers[1])).toEqual(["./", "etc/", "etc/.wh.group", "etc/.wh.passwd", "stays"]);
    const out = join(workshop.directory, "tree");
    await extractTree(
      workshop.home,
      result.layers.map(({ digest }) => digest),
      out,
    );
    expect(execFileSync("ls", [join(out, "etc")]).toString()).toBe("");
  });

  test("a directory that becomes a link, a link that becomes a directory, a file that becomes a directory", async () => {
    const { layers } = await run(
      `RUN mkdir /d && touch /d/inside && ln -s /etc /l && touch /f
RUN rm -r /d && ln -s /tmp /d && rm /l && mkdir /l && touch /l/new && rm /f && mkdir /f && touch /f/new
RUN rm -r /root && ln -s /tmp /root && rm /sbin && mkdir /sbin && touch /sbin/new`,
    );
    expect(names(layers[1])).toEqual([
      "./",
      "d -> /tmp",
      "f/",
      "f/new",
      "l/",
      "l/new",
      "root -> /tmp",
      "sbin/",
      "sbin/.wh..wh..opq",
      "sbin/new",
    ]);
  });

  test("a directory removed and made again hides what it held before", async () => {
    const { layers } = await run("RUN rm -r /opt/base && mkdir /opt/base && echo new > /opt/base/fresh");
    expect(names(layers[1])).toEqual(["./", "opt/", "opt/base/", "opt/base/.wh..wh..opq", "opt/base/fresh"]);
  });

  test("USER runs with the tree's own numbers and groups, in trees without setpriv too", async () => {
    const { workshop, result } = await run(
      "RUN mkdir /mine && chown app /mine\nUSER app\nRUN id -u > /mine/id && id -G >> /mine/id && echo $HOME >> /mine/id",
    );
    await extractWithTar(result, workshop.home, join(workshop.directory, "out"));
    expect(readFileSync(join(workshop.directory, "out/mine/id"), "utf8")).toBe("1200\n1300 1400\n/home/app\n");
    await expect(run("USER app\nRUN touch /not-mine")).rejects.toMatchObject({ code: "run-failed" });
    await expect(run("USER nobody-here\nRUN true")).rejects.toMatchObject({
      code: "user-unknown",
      message: expect.stringContaining('expected user "nobody-here"'),
    });
  });

  test("a cache mount outlives the build, a bind shows the context, a secret is in no layer and no key", async () => {
    const workshop = open();
    workshop.write("input/file", "bound\n");
    process.env["OSTLER_TEST_SECRET"] = "hunter2";
    const recipe = (tail: string) => `FROM MINI
RUN --mount=type=cache,target=/c echo ${tail} >> /c/log && cp /c/log /log
RUN --mount=type=bind,source=input,target=/in --mount=type=secret,id=token cat /in/file > /copied && wc -c < /run/secrets/token > /length
`;
    const secrets = { token: { env: "OSTLER_TEST_SECRET" } };
    await workshop.build(recipe("one"), { secrets });
    const result = await workshop.build(recipe("two"), { secrets });
    const out = join(workshop.directory, "out");
    await extractWithTar(result, workshop.home, out);
    expect(readFileSync(join(out, "log"), "utf8")).toBe("one\ntwo\n");
    expect(readFileSync(join(out, "copied"), "utf8")).toBe("bound\n");
    expect(readFileSync(join(out, "length"), "utf8")).toBe("7\n");
    expect(execFileSync("sh", ["-c", `grep -rl hunter2 ${workshop.home} ${out} || true`]).toString()).toBe("");
    workshop.write("input/file", "other\n");
    const third = await workshop.build(recipe("two"), { secrets });
    expect(third.steps.map(({ missed }) => missed)).toEqual([
      undefined,
      "RUN --mount source=input: input/file changed",
    ]);
    await expect(workshop.build(recipe("three").replace("/length", "/other"), {})).rejects.toMatchObject({
      code: "secret-missing",
    });
  });

  test("steps squashed into a layer give the tree that the steps saw", async () => {
    const { workshop, result } =
      await run(`RUN mkdir -p /w/a /w/b && touch /w/a/1 /w/b/2 && ln /w/a/1 /w/hard && chmod 1777 /w/a
RUN rm /w/a/1 && mv /w/b /w/c && ln -s c /w/b && echo more > /w/c/3
RUN rm -r /w/c/2 /usr/bin/tr && mkdir /usr/bin/tr && chown -R 5:6 /w && chmod 700 /w
RUN ls -lRn --time-style=+%s /w /usr/bin/tr > /seen`);
    const out = join(workshop.directory, "out");
    await extractTree(
      workshop.home,
      result.layers.map(({ digest }) => digest),
      out,
    );
    const list = (root: string) =>
      execFileSync("chroot", [root, "/usr/bin/ls", "-lRn", "--time-style=+%s", "/w", "/usr/bin/tr"]).toString();
    // each file system counts links, blocks and sizes of directories in its own way
    const comparable = (text: string) =>
      text.replace(/^total .*$/gm, "").replace(/^(d\S+) +\d+ (\d+ \d+) +\d+/gm, "$1 $2");
    expect(comparable(list(out))).toBe(comparable(readFileSync(join(out, "seen"), "utf8")));
  });
});

/** Lays layers over each other as image-spec layer.md says, whiteouts included, with nothing of ours. */
async function extractTree(home: string, digests: string[], target: string): Promise<void> {
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  for (const digest of digests) {
    const blob = join(home, "store/blobs/sha256", digest.slice(7));
    const script = `
      zstd -dcq < ${blob} | tar -tf - | while read -r name; do
        case "$name" in
          */.wh..wh..opq) dir="${target}/\${name%/.wh..wh..opq}"; [ -d "$dir" ] && find "$dir" -mindepth 1 -delete || true ;;
          *.wh.*) rm -rf "${target}/$(dirname "$name")/$(basename "$name" | sed 's/^\\.wh\\.//')" ;;
          */) [ -L "${target}/\${name%/}" ] && rm "${target}/\${name%/}" || true ; [ -f "${target}/\${name%/}" ] && rm "${target}/\${name%/}" || true ;;
          *) [ -d "${target}/$name" ] && [ ! -L "${target}/$name" ] && rm -r "${target}/$name" || true ;;
        esac
      done
      zstd -dcq < ${blob} | tar --exclude='.wh.*' --xattrs --numeric-owner -xpf - -C ${target}`;
    execFileSync("bash", ["-euo", "pipefail", "-c", script]);
  }
}
