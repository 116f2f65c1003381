import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readBundle } from "../../../fleet/install/bundle.ts";
import { seedTrust } from "../../../keys/trust.ts";
import { freePort } from "../../free-port.ts";
import { openPublisher, type Publisher } from "../../hostd/publisher.ts";
import { eventually } from "../../hostd/rig.ts";
import { debRepository } from "../../lab/deb.ts";
import { useLabNode } from "../../lab/node.ts";
import { describeWith } from "../../needs.ts";
import { runOstler } from "../../run-ostler.ts";
import { type Sshd, startSshd } from "../../sshd.ts";

const NEEDS = { root: true, programs: ["systemd-nspawn", "mmdebstrap", "perl", "ssh", "sftp", "dpkg-deb"] };
const ROOT = join(import.meta.dirname, "../../..");

/** Milliseconds for an installation and its way back, on a busy machine. */
const LIMIT = 300_000;

/** Seconds of `install` on nodes that are watched. */
const QUICK = ["STAYS=2", "READY_WITHIN=30"];

describeWith(NEEDS, "hostd installed over SSH on a Debian of somebody's own", () => {
  const node = useLabNode();
  const work = mkdtempSync(join(tmpdir(), "install-"));
  const home = join(work, "home");
  let [sshd, publisher, port]: [Sshd | undefined, Publisher | undefined, number] = [undefined, undefined, 0];

  const at = (path: string) => join(node().root, path);
  const inPlace = () => readlinkSync(at("usr/lib/hostd")).split("/").at(-1);
  const idOf = async (bundle: string) => (await readBundle(bundle)).id;
  const hostd = async (...words: string[]) => JSON.parse((await node().run(["hostd", ...words, "--json"])).stdout);
  const show = async (property: string, unit = "hostd.service") =>
    (await node().run(["systemctl", "show", `--property=${property}`, "--value", unit])).stdout.trim();
  const appProcess = () => show("MainPID", "hostd-app-shop@1.service");
  const ostler = (...words: string[]) => runOstler(home, words);
  const add = (...words: string[]) =>
    ostler(
      "node",
      "add",
      "node",
      "--name",
      "web-1",
      "--ssh-config",
      sshd?.config ?? "",
      "--remote",
      "/srv/repository",
      ...words,
    );
  const update = (...words: string[]) => ostler("node", "update", "web-1", ...words);

  /** A copy of the first bundle with a line more in hostd, so that it is another; and what else is changed in it. */
  function variant(name: string, change: (directory: string) => void = () => {}): string {
    const directory = join(work, name);
    cpSync(join(work, "first"), directory, { recursive: true, filter: (path) => basename(path) !== "node" });
    linkSync(join(work, "first/node"), join(directory, "node"));
    appendFileSync(join(directory, "hostd.cjs"), `\n// ${name}\n`);
    change(directory);
    return directory;
  }
  /** One whose daemon does something else; what else it is asked for, it answers. */
  const daemon = (name: string, script: string) =>
    variant(name, (directory) => {
      cpSync(join(directory, "hostd"), join(directory, "real"));
      const real = '"$(dirname "$(readlink -f "$0")")/real" "$@"';
      writeFileSync(
        join(directory, "hostd"),
        `#!/bin/sh\n[ "$1" = serve ] || exec ${real}\n${script.replace("REAL", real)}\n`,
      );
    });

  beforeAll(async () => {
    port = await freePort();
    execFileSync(process.execPath, [join(ROOT, "bundle.ts"), join(work, "first")]);
    publisher = await openPublisher(at("srv"));
    await publisher.publish({ version: "1.0.0", sequence: 1, port });
    mkdirSync(home);
    await seedTrust(join(home, "trust"), readFileSync(publisher.rootFile));
    await debRepository(at("srv/apt"), "bubblewrap");
    writeFileSync(at("etc/apt/sources.list"), "deb [trusted=yes] file:/srv/apt ./\n");
    rmSync(at("etc/apt/sources.list.d"), { recursive: true, force: true });
    await node().run(["dpkg", "--purge", "bubblewrap"]);
    await node().run(["systemctl", "set-environment", ...QUICK]);
    mkdirSync(at("srv/ssh"), { mode: 0o700 });
    sshd = await startSshd(at("srv/ssh"), { seen: "/srv/ssh", start: startInNode });
  }, LIMIT);
  afterAll(() => rmSync(work, { recursive: true, force: true }));

  /** After a boot: hostd answers, and so does sshd. */
  async function reachable() {
    await startInNode(["/usr/sbin/sshd", "-D", "-e", "-f", "/srv/ssh/sshd_config"]);
    await node().run(["systemctl", "set-environment", ...QUICK]);
    await eventually(() => hostd("health").catch(() => undefined), Boolean);
  }

  async function startInNode(command: readonly string[]) {
    mkdirSync(at("run/sshd"), { recursive: true });
    await node().run(["mkdir", "-p", "-m", "755", "/run/sshd"]);
    await node().run(["systemd-run", "--quiet", "--collect", "--unit=lab-sshd", ...command]);
    return async () => {};
  }

  test("without --install a machine that has no hostd is told apart from one that cannot be reached", async () => {
    const ended = await add();
    expect(ended).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("node: hostd is not running: nobody answers"),
    });
    expect(ended.stderr).toContain("ostler node add node --install");
  });

  test("a first hostd that does not come up leaves nothing of itself behind", { timeout: LIMIT }, async () => {
    const ended = await add("--install", "--bundle", daemon("never", "echo it broke; exit 3"));
    expect(ended).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/did not come up\n.*it broke/s) });
    expect(existsSync(at("etc/systemd/system/hostd.service"))).toBe(false);
    expect([await show("LoadState"), await show("LoadState", "hostd-install.service")]).toEqual([
      "not-found",
      "not-found",
    ]);
    expect(await ostler("node", "list")).toMatchObject({ json: { nodes: [] } });
  });

  test("one command installs it with what Debian's own packages lacked, and said twice changes nothing", {
    timeout: LIMIT,
  }, async () => {
    const ended = await add("--install", "--bundle", join(work, "first"), "--group", "web");
    expect(ended).toMatchObject({
      exitCode: 0,
      json: { node: { name: "web-1", groups: ["web"] }, installed: { changed: true } },
    });
    expect(inPlace()).toBe(await idOf(join(work, "first")));
    expect(await hostd("status")).toMatchObject({
      hostd: { version: expect.stringContaining(`+${inPlace()}`) },
      apps: [],
    });
    const started = await show("ExecMainStartTimestampMonotonic");
    const again = await add("--install", "--bundle", join(work, "first"));
    expect(again).toMatchObject({
      exitCode: 0,
      json: { node: { groups: ["web"] }, installed: { changed: false, sent: { bytes: 0 } } },
    });
    expect(await show("ExecMainStartTimestampMonotonic")).toBe(started);
    await node().reboot();
    await reachable();
  });

  test("an update moves what changed alone, up and down, and the app that runs never notices", {
    timeout: LIMIT,
  }, async () => {
    expect(await hostd("stage", "shop")).toMatchObject({ state: "done" });
    expect(await hostd("activate", "shop")).toMatchObject({ state: "done" });
    const app = await appProcess();
    const second = variant("second");
    const up = await update("--bundle", second);
    expect(up).toMatchObject({
      exitCode: 0,
      json: { nodes: [{ node: "web-1", changed: true, after: await idOf(second), sent: { files: 1 } }] },
    });
    expect((await hostd("status")).hostd.version).toContain(await idOf(second));
    const down = await update("--bundle", join(work, "first"), "--no-json");
    expect(down.stdout).toMatch(/^web-1: hostd [0-9a-f]{16} runs, instead of [0-9a-f]{16}; sent 0 B in 0 files\n$/);
    expect(await appProcess()).toBe(app);
    expect((await fetch(`http://127.0.0.1:${port}/version`)).status).toBe(200);
  });

  test("one that was stopped is started again; other options than the machine has are told, and the machine's stay", {
    timeout: LIMIT,
  }, async () => {
    await node().run(["systemctl", "stop", "hostd"]);
    const again = await update("--bundle", join(work, "first"));
    expect(again).toMatchObject({ exitCode: 0, json: { nodes: [{ changed: true, sent: { files: 0 } }], left: [] } });
    const other = await add("--install", "--bundle", join(work, "first"), "--channel", "staging");
    const kept = expect.stringContaining("--channel production");
    expect(other).toMatchObject({ exitCode: 0, json: { installed: { changed: false, kept } } });
    expect(readFileSync(at("etc/hostd/serve.env"), "utf8")).toContain("--channel production");
    expect(await add("--install", "--name", "web-9")).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining("that of web-1"),
    });
    expect((await add("--install", "--remote", "repo")).exitCode).toBe(2);
  });

  test.each([
    ["does not start", "echo no such luck; exit 1", /did not come up\n.*no such luck/s],
    ["never says that it is ready", "sleep 600", /did not come up/],
    ["ends after it came up", "REAL & until systemctl is-active -q hostd; do sleep 0.1; done; kill -9 $!", /ended/],
  ])("a hostd that %s is taken back, and says why", { timeout: LIMIT }, async (title, script, why) => {
    const [before, app] = [inPlace(), await appProcess()];
    const bad = await update("--bundle", daemon(title.replaceAll(" ", "-"), script));
    expect(bad).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(why) });
    expect(inPlace()).toBe(before);
    expect(await hostd("health")).toBeDefined();
    expect(await appProcess()).toBe(app);
    expect(existsSync(at("usr/lib/ostler/hostd/asked"))).toBe(false);
  });

  test("one that cannot run there is told before anything is changed", { timeout: LIMIT }, async () => {
    const started = await show("ExecMainStartTimestampMonotonic");
    const bad = variant("foreign", (directory) => {
      rmSync(join(directory, "node")); // a link to the first one's
      writeFileSync(join(directory, "node"), "not a program");
    });
    expect(await update("--bundle", bad)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("does not run there"),
    });
    expect(await show("ExecMainStartTimestampMonotonic")).toBe(started);
  });

  const steps = readFileSync(join(ROOT, "bin/hostd-install"), "utf8").split("\n");
  const first = steps.findIndex((line) => line.startsWith("prepare ||"));
  const places = steps.flatMap((line, index) =>
    index >= first && /^[a-z]/.test(line) && !/^(?:done|second|echo)/.test(line) ? [index] : [],
  );
  /** A bundle whose `install` does something before some of its lines, once before each. */
  const armed = (name: string, lines: readonly number[], action: string) => {
    mkdirSync(at("srv/armed"), { recursive: true });
    for (const index of lines) writeFileSync(at(`srv/armed/${index}`), "");
    return variant(name, (directory) => {
      const before = (index: number) =>
        lines.includes(index) ? [`[ ! -e /srv/armed/${index} ] || { rm /srv/armed/${index}; ${action}; }`] : [];
      writeFileSync(join(directory, "install"), steps.flatMap((line, index) => [...before(index), line]).join("\n"));
    });
  };
  const isAsked = async () => existsSync(at("usr/lib/ostler/hostd/asked"));

  test("where the link cannot be turned, as on a full disk, the one before runs again", {
    timeout: LIMIT,
  }, async () => {
    const [old, turn] = [inPlace(), steps.findIndex((line) => line.startsWith("point "))];
    const bad = await update("--bundle", armed("full", [turn], "ln() { echo no room >&2; return 1; }"));
    expect(bad).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("could not be put in its place") });
    expect([inPlace(), await show("ActiveState"), await isAsked()]).toEqual([old, "active", false]);
  });

  test("killed before each of its commands, one after the other, it goes on by itself", {
    timeout: LIMIT,
  }, async () => {
    const bundle = armed("killed", places, "kill -9 $$");
    await update("--bundle", bundle);
    const id = await idOf(bundle);
    await eventually(
      async () => inPlace() === id && !(await isAsked()) && readdirSync(at("srv/armed")).length === 0,
      (done) => done,
      LIMIT,
    );
    expect(await hostd("health")).toBeDefined();
  });

  const cuts = places.filter((index) => /^(?:systemctl stop|while|collect)/.test(steps[index] ?? ""));
  test.each(cuts.map((index) => [steps[index]?.slice(0, 40), index] as const))(
    "after a power cut before `%s` the machine has the old one, or the new one where that is proven",
    { timeout: LIMIT },
    async (_, index) => {
      const old = inPlace();
      const bundle = armed(`cut-${index}`, [index], "touch /srv/reached; sleep 60");
      rmSync(at("srv/reached"), { force: true });
      const under = update("--bundle", bundle);
      await eventually(async () => existsSync(at("srv/reached")), Boolean, 60_000);
      const proven = !(await isAsked());
      await node().powerCut();
      expect((await under).exitCode).toBe(1);
      await reachable();
      expect(inPlace()).toBe(proven ? await idOf(bundle) : old);
      expect(await isAsked()).toBe(false);
    },
  );

  test(
    "of the versions that were there, two are kept, and what an app was started by",
    async () => {
      expect((await update("--bundle", variant("last"))).exitCode).toBe(0);
      expect(readdirSync(at("usr/lib/ostler/hostd")).length).toBeLessThanOrEqual(3);
    },
    LIMIT,
  );

  test("a hostd that somebody else put there is not touched", { timeout: LIMIT }, async () => {
    await node().run(["sh", "-c", "rm /usr/lib/hostd && mkdir /usr/lib/hostd"]);
    const refused = await update();
    expect(refused).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining("/usr/lib/hostd was put there by somebody else"),
    });
  });
});
