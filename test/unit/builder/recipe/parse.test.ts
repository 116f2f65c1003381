import { describe, expect, test } from "vitest";
import { strictShell } from "../../../../builder/sandbox/shell.ts";
import { copyOf, read, readBelow, runOf } from "./read.ts";

const SHOP = `FROM debian:bookworm                      # also: scratch, image:NAME
BOOTSTRAP
RUN apt-get update && apt-get install -y --no-install-recommends nodejs
COPY package.json package-lock.json /opt/shop/
RUN --mount=type=cache,target=/root/.npm cd /opt/shop && npm ci --omit=dev
DEPLOY FROM scratch                       # start again
COPY --from=bootstrap --closure /usr/bin/node /usr/bin/node     # and every library it needs
COPY --from=bootstrap /opt/shop /opt/shop
COPY src/ /opt/shop/src/
ENTRYPOINT ["/usr/bin/node", "/opt/shop/src/server.mjs"]
LISTEN 8080                               # held open across switches
HEALTH http://localhost:8080/healthz --interval=1s --timeout=2s --within=30s --stable=10s
DATA /var/lib/shop --format=2 --reads=">=1 <3"      # formats
CONFIG /etc/shop/config.json --template=config.json.tmpl
MIGRATE ["/usr/bin/node", "/opt/shop/src/migrate.mjs"]      # hook
TEST ["/usr/bin/node", "--test", "/opt/shop/test/"]         # suite
`;

describe("parseRecipe: the design's own example", () => {
  const recipe = read(SHOP);

  test("is named for its file and starts from what FROM says", () => {
    expect(recipe.name).toBe("shop");
    expect(recipe.base).toEqual({
      kind: "debian",
      suite: "bookworm",
      reference: "debian:bookworm",
      position: { line: 1, column: 6 },
    });
    expect(recipe.warnings).toEqual([]);
  });

  test("puts each step into its section, with its text and line", () => {
    expect(recipe.bootstrap.map(({ text, section, position }) => [position.line, section, text])).toEqual([
      [3, "bootstrap", "RUN apt-get update && apt-get install -y --no-install-recommends nodejs"],
      [4, "bootstrap", "COPY package.json package-lock.json /opt/shop/"],
      [5, "bootstrap", "RUN --mount=type=cache,target=/root/.npm cd /opt/shop && npm ci --omit=dev"],
    ]);
    expect(recipe.deploy?.from?.kind).toBe("scratch");
    expect(recipe.deploy?.steps.map(({ text, section }) => [section, text])).toEqual([
      ["deploy", "COPY --from=bootstrap --closure /usr/bin/node /usr/bin/node"],
      ["deploy", "COPY --from=bootstrap /opt/shop /opt/shop"],
      ["deploy", "COPY src/ /opt/shop/src/"],
    ]);
  });

  test("declares what the image document needs, in that document's own shape", () => {
    expect(recipe.image).toMatchObject({
      entrypoint: ["/usr/bin/node", "/opt/shop/src/server.mjs"],
      cmd: undefined,
      listen: [{ port: 8080, address: "0.0.0.0" }],
      health: [
        {
          kind: "http",
          url: "http://localhost:8080/healthz",
          interval: 1_000,
          timeout: 2_000,
          within: 30_000,
          stable: 10_000,
        },
      ],
      data: [{ path: "/var/lib/shop", format: 2, reads: ">=1 <3" }],
      config: [{ path: "/etc/shop/config.json", template: "config.json.tmpl", position: { line: 14, column: 1 } }],
      hooks: { migrate: { command: ["/usr/bin/node", "/opt/shop/src/migrate.mjs"], timeout: 60_000 } },
      tests: [
        {
          name: "test",
          command: ["/usr/bin/node", "--test", "/opt/shop/test/"],
          network: "none",
          timeout: 600_000,
          text: 'TEST ["/usr/bin/node", "--test", "/opt/shop/test/"]',
        },
      ],
    });
  });
});

describe("sections", () => {
  test("a plain Dockerfile is all BOOTSTRAP", () => {
    const recipe = read('FROM debian:bookworm\nRUN true\nCMD ["a"]\n');
    expect(recipe.bootstrap).toHaveLength(1);
    expect(recipe.deploy).toBeUndefined();
    expect(recipe.image.cmd).toEqual(["a"]);
  });

  test("FROM may stand below the BOOTSTRAP header or on its line", () => {
    expect(read("BOOTSTRAP\nFROM scratch\n").base.kind).toBe("scratch");
    expect(read("BOOTSTRAP FROM scratch\n").base.kind).toBe("scratch");
  });

  test("DEPLOY without FROM keeps environment, directory, user and declarations of BOOTSTRAP", () => {
    const recipe = readBelow("ENV A=1\nWORKDIR /w\nUSER app\nLISTEN 80\nDEPLOY\nRUN true\n");
    expect(recipe.deploy?.from).toBeUndefined();
    expect(recipe.deploy?.steps[0]).toMatchObject({ env: { A: "1" }, workdir: "/w", user: "app", network: "none" });
    expect(recipe.image).toMatchObject({ workdir: "/w", user: "app", listen: [{ port: 80 }] });
  });

  test("DEPLOY FROM starts again: nothing of BOOTSTRAP but its files is left", () => {
    const recipe = readBelow("ENV A=1\nWORKDIR /w\nUSER app\nDEPLOY FROM scratch\nRUN true\n");
    expect(recipe.deploy?.steps[0]).toMatchObject({ workdir: "/", user: undefined });
    expect(recipe.deploy?.steps[0]?.env).not.toHaveProperty("A");
    expect(recipe.image.workdir).toBeUndefined();
  });

  test("DEPLOY FROM may name any base, also with an ARG of BOOTSTRAP", () => {
    expect(readBelow("ARG B=image:tools\nDEPLOY FROM $B:v1").deploy?.from).toMatchObject({
      kind: "image",
      name: "tools",
      tag: "v1",
    });
  });

  test("instructions are case-insensitive", () => {
    const recipe = read("from scratch\nbootstrap\nrun a\nDeploy From scratch\nCopy a /b\n");
    expect(recipe.bootstrap[0]?.text).toBe("RUN a");
    expect(recipe.deploy?.steps[0]?.text).toBe("COPY a /b");
  });
});

describe("RUN", () => {
  test("takes shell text as it is: no variable is substituted, quotes stay", () => {
    expect(runOf(`ENV A=1\nRUN echo "$A" '\${A}' # done`).command).toEqual({
      form: "shell",
      script: `echo "$A" '\${A}' # done`,
      shell: undefined,
    });
  });

  test("joins continued lines as a Dockerfile does: comments among them go, blanks stay", () => {
    expect(runOf("RUN a && \\\n  # why\n  b \\\n    c").command).toMatchObject({ script: "a &&   b     c" });
  });

  test("takes the exec form", () => {
    expect(runOf('RUN ["/bin/a", "b c", "\\u00e9\\n"]').command).toEqual({
      form: "exec",
      command: ["/bin/a", "b c", "é\n"],
    });
  });

  test("a test command that starts with [ is shell text, not a bad array", () => {
    expect(runOf('RUN [ "$A" = "b" ] || true').command).toMatchObject({ script: '[ "$A" = "b" ] || true' });
    expect(runOf("RUN [[ -f /a ]]").command).toMatchObject({ script: "[[ -f /a ]]" });
    expect(runOf("RUN [ -f /a ]").command).toMatchObject({ script: "[ -f /a ]" });
  });

  test("has network in BOOTSTRAP and none in DEPLOY, unless --network says otherwise", () => {
    const recipe = readBelow("RUN a\nRUN --network=none b\nDEPLOY\nRUN c\nRUN --network=default d\n");
    const steps = [...recipe.bootstrap, ...(recipe.deploy?.steps ?? [])];
    expect(steps.map((step) => step.kind === "run" && step.network)).toEqual(["default", "none", "none", "default"]);
  });

  test("SHELL changes what reads the shell form below it", () => {
    expect(runOf('SHELL ["/bin/bash", "-c"]\nRUN a').command).toMatchObject({ shell: ["/bin/bash", "-c"] });
  });

  test("gets the environment, directory and user that hold where it stands", () => {
    const recipe = readBelow("ARG V=1\nENV A=a\nRUN x\nENV A=b V=2\nWORKDIR /srv\nWORKDIR app\nUSER 10:20\nRUN y\n");
    const [first, , , last] = recipe.bootstrap;
    expect(first).toMatchObject({ env: { A: "a", V: "1" }, workdir: "/", user: undefined });
    expect(last).toMatchObject({ env: { A: "b", V: "2" }, workdir: "/srv/app", user: "10:20" });
    expect(Object.keys(last?.env ?? {})).toEqual(["A", "PATH", "V"]);
  });

  test("reads mounts of every type, with Docker's short names and defaults", () => {
    const { mounts } = runOf(
      "RUN --mount=type=cache,dst=/c,id=npm,sharing=locked,mode=0700,uid=5,ro --mount=src=a/../b,target=/s,rw " +
        "--mount=type=tmpfs,target=/t,size=64m --mount=type=secret,id=key --mount=type=secret,id=tok,env=TOK,required=false " +
        '"--not-a-flag"',
    );
    expect(mounts).toEqual([
      { type: "cache", target: "/c", id: "npm", sharing: "locked", readonly: true, mode: 0o700, uid: 5, gid: 0 },
      { type: "bind", target: "/s", from: { tree: "context" }, source: "b", readonly: false },
      { type: "tmpfs", target: "/t", size: 64 * 1024 * 1024 },
      {
        type: "secret",
        id: "key",
        target: "/run/secrets/key",
        env: undefined,
        required: true,
        mode: 0o400,
        uid: 0,
        gid: 0,
      },
      { type: "secret", id: "tok", target: undefined, env: "TOK", required: false, mode: 0o400, uid: 0, gid: 0 },
    ]);
  });

  test("a mount's paths take variables, quotes and the WORKDIR", () => {
    const { mounts } = runOf(`ARG D=x\nWORKDIR /w\nRUN --mount=type=cache,target="\${D}/a b" true`);
    expect(mounts).toMatchObject([{ target: "/w/x/a b", id: "/w/x/a b" }]);
  });

  test("a bind mount reads BOOTSTRAP's tree in DEPLOY", () => {
    const recipe = readBelow(
      "DEPLOY FROM image:tools\nRUN --mount=type=bind,from=bootstrap,source=/opt,target=/mnt ls",
    );
    expect(recipe.deploy?.steps[0]).toMatchObject({
      mounts: [{ from: { tree: "bootstrap" }, source: "/opt", target: "/mnt", readonly: true }],
    });
  });
});

describe("COPY", () => {
  test("normalises sources, and allows names that only look like a way out", () => {
    const step = copyOf("COPY ..name a/../b ./c/ dir/* /dest/");
    expect(step.sources.map(({ path, pattern }) => [path, pattern])).toEqual([
      ["..name", false],
      ["b", false],
      ["c", false],
      ["dir/*", true],
    ]);
    expect(step).toMatchObject({ destination: "/dest", intoDirectory: true, from: { tree: "context" } });
  });

  test("takes the whole context as .", () => {
    expect(copyOf("COPY . /app").sources).toMatchObject([{ path: "." }]);
    expect(copyOf("COPY ./ /app")).toMatchObject({ sources: [{ path: "." }], intoDirectory: false });
  });

  test("takes a relative destination from WORKDIR", () => {
    expect(copyOf("WORKDIR /w\nCOPY a b")).toMatchObject({ destination: "/w/b", intoDirectory: false });
    expect(copyOf("WORKDIR /w\nCOPY a c .")).toMatchObject({ destination: "/w", intoDirectory: true });
    expect(copyOf("WORKDIR /w/x\nCOPY a ../b/")).toMatchObject({ destination: "/w/b", intoDirectory: true });
  });

  test("takes paths with blanks as a JSON array or in quotes", () => {
    expect(copyOf('COPY ["a b", "it\'s", "/c d/"]')).toMatchObject({
      sources: [{ path: "a b" }, { path: "it's" }],
      destination: "/c d",
    });
    expect(copyOf(`COPY "a b" c\\ d 'e f' /g/`).sources.map(({ path }) => path)).toEqual(["a b", "c d", "e f"]);
  });

  test("a path that starts with [ is a pattern", () => {
    expect(copyOf("COPY [ab].txt /c/").sources).toMatchObject([{ path: "[ab].txt", pattern: true }]);
  });

  test("reads owner, mode and patterns to leave out", () => {
    const step = copyOf("COPY --chown=app:www --chmod=u=rwX,go+rx-w --exclude=*.md --exclude=docs/** --link a /b");
    expect(step.owner).toEqual({ user: "app", group: "www" });
    expect(step.mode).toEqual({
      form: "symbolic",
      clauses: [
        { who: "u", operator: "=", permissions: "rwX" },
        { who: "go", operator: "+", permissions: "rx" },
        { who: "go", operator: "-", permissions: "w" },
      ],
    });
    expect(step.exclude).toEqual(["*.md", "docs/**"]);
    expect(copyOf("COPY --chmod=4755 --chown=0 a /b")).toMatchObject({
      mode: { form: "octal", mode: 0o4755 },
      owner: { user: "0", group: undefined },
    });
  });

  test("--from takes bootstrap, the name FROM gave it, or an image", () => {
    const recipe = read(
      "FROM debian:bookworm AS Build\nDEPLOY FROM scratch\n" +
        "COPY --from=BOOTSTRAP usr/a /a\nCOPY --from=build /b /b\nCOPY --from=nginx:1.27 /etc/nginx /c\n",
    );
    expect(recipe.deploy?.steps).toMatchObject([
      { from: { tree: "bootstrap" }, sources: [{ path: "/usr/a" }] },
      { from: { tree: "bootstrap" } },
      { from: { tree: "image", from: { kind: "registry", repository: "library/nginx", tag: "1.27" } } },
    ]);
  });

  test("variables are substituted in paths and flags", () => {
    expect(copyOf(`ARG U=app\nENV D=/srv\nCOPY --chown=$U:\${G:-www} \${U}.conf $D/`)).toMatchObject({
      owner: { user: "app", group: "www" },
      sources: [{ path: "app.conf" }],
      destination: "/srv",
    });
  });

  test("ADD of files is COPY", () => {
    expect(copyOf("ADD --chown=a b /c")).toMatchObject({ sources: [{ path: "b" }], owner: { user: "a" } });
  });
});

describe("ENV, ARG, LABEL", () => {
  test("ENV takes both forms, and values of one instruction do not see each other", () => {
    const recipe = readBelow(`ENV A=1 B="two words" C=it\\'s\nENV A=2 D=$A\nENV E one  "two"\n`);
    expect(recipe.image.env).toMatchObject({ A: "2", B: "two words", C: "it's", D: "1", E: "one  two" });
  });

  test("ENV goes on from what the base brings", () => {
    expect(readBelow("ENV PATH=/opt/bin:$PATH").image.env["PATH"]).toBe(
      "/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    );
    const recipe = read("FROM node:20\nENV PATH=/a:$PATH V=$NODE_VERSION\nCOPY a b\n", {
      base: { env: { PATH: "/bin", NODE_VERSION: "20.1" }, workdir: "/srv", user: "node" },
    });
    expect(recipe.image).toMatchObject({ env: { PATH: "/a:/bin", V: "20.1" }, workdir: "/srv", user: "node" });
    expect(recipe.bootstrap[0]).toMatchObject({ destination: "/srv/b", user: "node" });
  });

  test("an ARG is seen by steps below it, is hidden by an ENV of its name, and is not in the image", () => {
    const recipe = readBelow("RUN a\nARG V=1 W=2\nENV W=env\nRUN b\n");
    expect(recipe.bootstrap[0]?.env).not.toHaveProperty("V");
    expect(recipe.bootstrap[1]?.env).toMatchObject({ V: "1", W: "env" });
    expect(recipe.image.env).not.toHaveProperty("V");
    expect(recipe.args).toEqual({ V: "1", W: "2" });
  });

  test("a given value beats an ARG's default", () => {
    expect(readBelow("ARG V=1\nENV A=$V\n", { args: { V: "9" } }).image.env["A"]).toBe("9");
  });

  test("an ARG above FROM serves FROM, and below it once repeated", () => {
    const recipe = read(`ARG SUITE=bookworm\nFROM debian:\${SUITE}\nARG SUITE\nENV S=$SUITE\n`);
    expect(recipe.base).toMatchObject({ suite: "bookworm" });
    expect(recipe.image.env["S"]).toBe("bookworm");
  });

  test("an ARG without a value is empty and not in a step's environment", () => {
    const recipe = readBelow("ARG V\nENV A=x$V\nRUN a\n");
    expect(recipe.image.env["A"]).toBe("x");
    expect(recipe.bootstrap[0]?.env).not.toHaveProperty("V");
  });

  test("values that builders predefine may be given without an ARG", () => {
    expect(readBelow("RUN a", { args: { TARGETARCH: "amd64", http_proxy: "http://p" } }).args).toEqual({});
  });

  test("LABEL takes quoted names and many pairs", () => {
    expect(readBelow('LABEL a=1 "b c"="d e" f=\nLABEL a=2 __proto__=x').image.labels).toEqual(
      Object.fromEntries([
        ["a", "2"],
        ["b c", "d e"],
        ["f", ""],
        ["__proto__", "x"],
      ]),
    );
  });
});

describe("what the image says about itself", () => {
  test("ENTRYPOINT and CMD take both forms, the shell form through SHELL", () => {
    expect(readBelow('ENTRYPOINT exec app --port 80 # x\nCMD ["-v"]').image).toMatchObject({
      entrypoint: ["/bin/sh", "-c", "exec app --port 80 # x"],
      cmd: ["-v"],
    });
    expect(readBelow('SHELL ["/bin/bash", "-c"]\nCMD a b').image.cmd).toEqual(["/bin/bash", "-c", "a b"]);
    expect(readBelow("ENTRYPOINT []\nCMD []").image).toMatchObject({ entrypoint: [], cmd: [] });
  });

  test("LISTEN takes a port or an address and a port, in order", () => {
    expect(readBelow("LISTEN 8080\nLISTEN 127.0.0.1:9090\nLISTEN [::1]:9090\nLISTEN [::]:53").image.listen).toEqual([
      { port: 8080, address: "0.0.0.0" },
      { port: 9090, address: "127.0.0.1" },
      { port: 9090, address: "::1" },
      { port: 53, address: "::" },
    ]);
  });

  test("HEALTH takes http, tcp and a program, with flags on either side", () => {
    const text = `HEALTH --within=1m tcp://localhost:5432
HEALTH ["/bin/check", "--fast"] --interval=500ms --stable=1m30s
HEALTH exec ["/bin/a"]
HEALTH tcp://[::1]:80 --timeout=1.5s`;
    const window = { interval: 1_000, timeout: 2_000, within: 30_000, stable: 10_000 };
    expect(readBelow(text).image.health).toEqual([
      { ...window, kind: "tcp", host: "localhost", port: 5432, within: 60_000 },
      { ...window, kind: "exec", command: ["/bin/check", "--fast"], interval: 500, stable: 90_000 },
      { ...window, kind: "exec", command: ["/bin/a"] },
      { ...window, kind: "tcp", host: "::1", port: 80, timeout: 1_500 },
    ]);
  });

  test("HEALTH takes a file with an age and a unit, a service where it has no suffix", () => {
    const text = `HEALTH file:/var/lib/shop/heartbeat --max-age=30s --stable=0s
HEALTH file:///run/ready
HEALTH unit:postgresql
HEALTH unit:getty@tty1.service`;
    const window = { interval: 1_000, timeout: 2_000, within: 30_000, stable: 10_000 };
    expect(readBelow(text).image.health).toEqual([
      { ...window, kind: "file", path: "/var/lib/shop/heartbeat", maxAge: 30_000, stable: 0 },
      { ...window, kind: "file", path: "/run/ready" },
      { ...window, kind: "unit", unit: "postgresql.service" },
      { ...window, kind: "unit", unit: "getty@tty1.service" },
    ]);
  });

  test.each([["file:/a/../b"], ["unit:"], ["unit:a/b.service"], ["unit:x.nothing"]])("HEALTH refuses %s", (target) => {
    expect(() => readBelow(`HEALTH ${target}`)).toThrow(/bad health check/);
  });

  test("HEALTHCHECK becomes an exec check that waits as long as Docker would", () => {
    const text =
      "HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=2 CMD curl -f localhost || exit 1";
    expect(readBelow(text).image.health).toEqual([
      {
        kind: "exec",
        command: strictShell("curl -f localhost || exit 1"),
        interval: 10_000,
        timeout: 3_000,
        within: 25_000,
        stable: 10_000,
      },
    ]);
    expect(readBelow("HEALTHCHECK CMD a\nHEALTHCHECK NONE").image.health).toEqual([]);
  });

  test("DATA has its own format as default, and reads no other", () => {
    expect(readBelow("DATA /var/lib/shop").image.data).toEqual([{ path: "/var/lib/shop", format: 1 }]);
    expect(readBelow("WORKDIR /srv\nDATA data --format=3 --reads=^3").image.data).toEqual([
      { path: "/srv/data", format: 3, reads: "^3" },
    ]);
  });

  test("CONFIG of a host names the unit that is told; a name without a suffix is a service", () => {
    const text = "BOOT /boot/vmlinuz --initrd=/boot/initrd.img\nCONFIG /etc/a.conf --template=a --unit=a";
    expect(readBelow(text).image.config).toMatchObject([{ path: "/etc/a.conf", unit: "a.service" }]);
  });

  test("KIND job stands with its time as the image document has it; a service says nothing", () => {
    expect(readBelow("KIND job --timeout=90m").image.job).toEqual({ timeout: 5_400_000 });
    expect(readBelow("KIND job").image.job).toEqual({ timeout: 3_600_000 });
    expect(readBelow("KIND service").image.job).toBeUndefined();
  });

  test("SWITCH and LIMIT stand as the image document has them; without them nothing is said", () => {
    const text = `LISTEN 8080
HEALTH http://localhost:8080/healthz
DATA /srv --shared
SWITCH start-first --probe=/run/shop.sock
LIMIT memory=512M cpu=150%
LIMIT tasks=64 files=4096
`;
    expect(readBelow(text).image).toMatchObject({
      switch: { order: "start-first", probe: "/run/shop.sock" },
      limits: { memory: 512 * 1024 * 1024, cpu: 150, tasks: 64, files: 4096 },
      data: [{ path: "/srv", format: 1, shared: true }],
    });
    expect(readBelow("SWITCH stop-first").image.switch).toEqual({ order: "stop-first" });
    expect(readBelow("LISTEN 80").image).toMatchObject({ switch: undefined, limits: {} });
  });

  test("start-first needs no probe where each check is answered by one version alone", () => {
    const text = 'LISTEN 8080\nHEALTH ["/check"]\nHEALTH tcp://localhost:5432\nSWITCH start-first';
    expect(readBelow(text).image.switch).toEqual({ order: "start-first" });
  });

  test("BOOT names kernel, initrd and stub by their paths in the image, Debian's stub as default", () => {
    expect(readBelow("LISTEN 80").image.boot).toBeUndefined();
    const text = 'BOOT --initrd=/boot/../i --cmdline=" console=ttyS0   quiet " /vmlinuz';
    expect(readBelow(text).image.boot).toEqual({
      kernel: "/vmlinuz",
      initrd: "/i",
      stub: "/usr/lib/systemd/boot/efi/linuxx64.efi.stub",
      cmdline: "console=ttyS0 quiet",
      position: { line: 2, column: 1 },
    });
    expect(readBelow("BOOT /k --initrd=/i --stub=/s").image.boot).toMatchObject({ stub: "/s", cmdline: "" });
  });

  test("hooks take JSON and shell form, each with its timeout", () => {
    const text = 'DRAIN --timeout=5s ["/d"]\nMIGRATE ["/m"] --timeout=2m\nREADY echo ok | wall\nREVERTED ["/r"]\n';
    const quiet = 'QUIESCE --timeout=5s ["/q"]\nRESUME ["/s"]\n';
    expect(readBelow(text + quiet).image.hooks).toEqual({
      drain: { command: ["/d"], timeout: 5_000 },
      migrate: { command: ["/m"], timeout: 120_000 },
      ready: { command: strictShell("echo ok | wall"), timeout: 60_000 },
      reverted: { command: ["/r"], timeout: 60_000 },
      quiesce: { command: ["/q"], timeout: 5_000 },
      resume: { command: ["/s"], timeout: 60_000 },
    });
  });

  test("TEST is a named suite that may be given files the image has not", () => {
    const text = `ENV A=1
TEST ["/t"]
TEST --name=e2e --timeout=1m --network=default --mount=type=bind,source=test,target=/test ["/t", "e2e"]
TEST npm test
`;
    const { tests } = readBelow(text).image;
    expect(tests).toMatchObject([
      { name: "test", command: ["/t"], network: "none", timeout: 600_000, mounts: [], env: { A: "1" } },
      {
        name: "e2e",
        command: ["/t", "e2e"],
        network: "default",
        timeout: 60_000,
        mounts: [{ type: "bind", source: "test", target: "/test", readonly: true, from: { tree: "context" } }],
      },
      { name: "test-2", command: strictShell("npm test") },
    ]);
  });

  test("a heredoc is the text of a hook, a TEST, a check and a program, as it is of RUN", () => {
    const text = `MIGRATE --timeout=5s <<EOF
cp old new
EOF
QUIESCE <<'EOF' cat >/run/quiet
$1
EOF
TEST <<EOF
false
echo done
EOF
HEALTHCHECK CMD <<EOF
false
EOF
CMD <<EOF
exec app
EOF
`;
    expect(readBelow(text).image).toMatchObject({
      hooks: {
        migrate: { command: strictShell("cp old new\n"), timeout: 5_000 },
        quiesce: { command: strictShell("<<'EOF' cat >/run/quiet\n$1\nEOF\n") },
      },
      tests: [{ command: strictShell("false\necho done\n"), text: "TEST <<EOF" }],
      health: [{ command: strictShell("false\n") }],
      cmd: ["/bin/sh", "-c", "exec app\n"],
    });
    expect(readBelow('SHELL ["/bin/zsh", "-c"]\nTEST <<EOF\na\nEOF').image.tests).toMatchObject([
      { command: ["/bin/zsh", "-c", "a\n"] },
    ]);
  });

  test("EXPOSE and STOPSIGNAL are written as OCI writes them", () => {
    expect(readBelow("EXPOSE 80 53/UDP 8000-8010\nEXPOSE 80/tcp\nSTOPSIGNAL quit").image).toMatchObject({
      expose: ["80/tcp", "53/udp", "8000-8010/tcp"],
      stopSignal: "SIGQUIT",
    });
    expect(readBelow("STOPSIGNAL 9").image.stopSignal).toBe("SIGKILL");
    expect(readBelow("STOPSIGNAL rtmin+3 --timeout=2m").image).toMatchObject({
      stopSignal: "SIGRTMIN+3",
      stopTimeout: 120_000,
    });
    expect(readBelow("STOPSIGNAL --timeout=2m INT\nSTOPSIGNAL QUIT").image).toMatchObject({
      stopSignal: "SIGQUIT",
      stopTimeout: undefined,
    });
  });

  test("MAINTAINER becomes a label", () => {
    expect(readBelow("MAINTAINER Ada <ada@example.org>").image.labels).toEqual({
      "org.opencontainers.image.authors": "Ada <ada@example.org>",
    });
  });

  test("USER and WORKDIR hold for the app too", () => {
    expect(readBelow("USER app:www\nWORKDIR '/a b'").image).toMatchObject({ user: "app:www", workdir: "/a b" });
  });
});
