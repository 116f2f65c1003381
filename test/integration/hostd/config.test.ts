import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ConfigFile } from "../../../manifests/app.ts";
import { freePort } from "../../free-port.ts";
import { withEngine } from "../../hostd/in-process.ts";
import { eventually, type Rig, readJson, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const root = join(import.meta.dirname, "../../..");
const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };
const GREETING: ConfigFile = { path: "/etc/shop/greeting", template: '{{ greeting | default "hello" }}' };
const RELOADED: ConfigFile = { ...GREETING, reload: "SIGHUP" };

describeWith(NEEDS, "config in layers", () => {
  test("what is set changes nothing that runs; applied, the app is started with it, image and data as they were", () =>
    withRig(async (rig) => {
      await live(rig, { declared: {} });
      await rig.record();
      await set(rig, "global", "greeting: from global\n");
      await set(rig, "site", "greeting: from site\n");
      await set(rig, "node", "# nothing but this\n");
      expect(await rig.get("/config")).toBe("hello");
      const status = await rig.client.app("shop");
      expect(status.config).toEqual({ declared: 3, applied: 0, drift: ["/etc/shop/greeting"] });
      const diff = await rig.client.configDiff("shop");
      expect(diff).toMatchObject({ version: 1, from: 0, to: 3, how: "restart" });
      expect(diff.files[0]?.diff).toContain("-hello\n\\ No newline at end of file\n+from site");

      const applied = await rig.operate("configure");
      expect(applied).toMatchObject({ kind: "configure", state: "done", from: 1, to: 2 });
      expect(applied.notes[0]).toContain("config 1 → 2:\n--- a/etc/shop/greeting");
      expect(await rig.get("/config")).toBe("from site");
      expect(await rig.records()).toEqual(["0 by 1.0.0"]);
      const { current, snapshots, config } = await rig.client.app("shop");
      expect(current).toMatchObject({
        number: 2,
        image: status.current?.image,
        config: 2,
        configRevision: 3,
        state: "good",
      });
      expect(config).toEqual({ declared: 3, applied: 3, drift: [] });
      expect(snapshots).toEqual([]);
      expect(await rig.operate("configure")).toMatchObject({ state: "done", notes: ["runs with that config already"] });
      expect((await rig.client.appConfig("shop")).values).toEqual([
        { path: "greeting", value: "from site", layer: "site", file: "site.yaml", line: 1, used: true },
      ]);
    }));

  test("what the release declares is below every layer, and an app's own layer above them all", () =>
    withRig(async (rig) => {
      await live(rig, { declared: { greeting: "of the release" } });
      expect(await rig.get("/config")).toBe("of the release");
      for (const [layer, text] of [
        ["app/shop", "greeting: own\n"],
        ["node", "greeting: node\n"],
        ["group", "greeting: group\n"],
      ] as const) {
        await set(rig, layer, text);
      }
      await rig.operate("configure");
      expect(await rig.get("/config")).toBe("own");
      await set(rig, "app/shop", "greeting: null\n");
      await set(rig, "site", "greeting: site\n");
      const missing = await rig.operate("configure");
      expect(missing.state).toBe("done");
      expect(await rig.get("/config")).toBe("hello");
    }));

  test("a value that is missing is refused before anything is touched, with where it is asked for", () =>
    withRig(async (rig) => {
      await live(rig, { declared: { greeting: "hi" }, config: [{ ...GREETING, template: "\n  {{ greeting }}" }] });
      await set(rig, "app/shop", "greeting:\n  of: all\n");
      await expect(rig.client.begin("shop", "configure", {})).rejects.toMatchObject({
        code: "config-value",
        message: expect.stringContaining("{{ greeting }} at /etc/shop/greeting:2:3 (a map"),
      });
      await set(rig, "app/shop", "greeting: null\n");
      await expect(rig.client.begin("shop", "configure", {})).rejects.toMatchObject({ code: "config-value" });
      expect((await rig.client.app("shop")).config).toMatchObject({
        problem: expect.stringContaining("expected a value"),
      });
      expect((await rig.client.changes({ app: "shop" })).changes).toHaveLength(1);
      await expect(set(rig, "site", "a: [\n")).rejects.toMatchObject({ code: "config-layer", outcome: "usage" });
      await expect(set(rig, "nowhere", "a: 1\n")).rejects.toMatchObject({ code: "bad-request" });
      expect((await rig.client.config()).revision).toBe(2);
    }));

  test("config that makes the app sick is taken back by itself; a deploy keeps away from it, and condemns no image for it", () =>
    withRig(async (rig) => {
      await live(rig, {});
      await set(rig, "site", "greeting: sick\n");
      const failed = await rig.operate("configure");
      expect(failed).toMatchObject({
        state: "failed",
        reverted: true,
        reason: { code: "unhealthy" },
        afterwards: { healthy: true },
      });
      expect(await rig.get("/config")).toBe("hello");
      const status = await rig.client.app("shop");
      expect(status).toMatchObject({
        current: { number: 1 },
        config: { declared: 1, applied: 0, problem: "it failed its trial here" },
      });
      expect(status.slots.map(({ state }) => state)).toEqual(["good"]);

      await rig.publish({ version: "1.1.0", declared: {}, config: [GREETING], stable: 100 });
      const deployed = await rig.operate("deploy");
      expect(deployed).toMatchObject({ state: "done", version: "1.1.0" });
      expect(deployed.notes.join()).toContain("kept config revision 0, not 1: it failed its trial here");
      await set(rig, "site", "greeting: better\n");
      await rig.publish({ version: "1.2.0", declared: {}, config: [GREETING], stable: 100 });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      expect(await rig.get("/config")).toBe("better");
    }));

  test("config alone is rolled back, to the one before or to a version, and the binaries stay", () =>
    withRig(async (rig) => {
      await live(rig, {});
      const { current } = await rig.client.app("shop");
      for (const word of ["one", "two"]) {
        await set(rig, "site", `greeting: ${word}\n`);
        await rig.operate("configure");
      }
      const back = await rig.operate("rollback", { to: "current", withConfig: true });
      expect(back).toMatchObject({ kind: "configure", state: "done", image: current?.image });
      expect((await rig.client.app("shop")).snapshots).toEqual([]);
      expect(await rig.get("/config")).toBe("one");
      expect((await rig.client.status()).quarantine).toEqual([]);
      await rig.operate("rollback", { to: "current", withConfig: true }); // once more is one further back
      expect(await rig.get("/config")).toBe("hello");
      await rig.operate("rollback", { to: "current", withConfig: 3 });
      expect(await rig.get("/config")).toBe("two");
      await rig.operate("rollback", { to: "current", withConfig: 1 });
      expect(await rig.client.app("shop")).toMatchObject({ current: { config: 1, image: current?.image } });
      await expect(rig.client.begin("shop", "rollback", { withConfig: 9 })).rejects.toMatchObject({
        code: "unknown-config",
      });
      expect(await rig.operate("activate")).toMatchObject({
        state: "done",
        notes: [expect.stringContaining("it was taken back here"), "1.0.0 runs already"],
      });
      await rig.operate("configure", { revision: 1 });
      expect(await rig.get("/config")).toBe("one");
    }));

  test("a file with a signal is replaced under the running process, which goes on; files without are not touched", () =>
    withRig(async (rig) => {
      const note: ConfigFile = { path: "/etc/shop/note", template: '{{ note | default "first" }}' };
      await live(rig, { config: [RELOADED, note] });
      const pid = await pidOf(rig);
      await set(rig, "site", "greeting: told\n");
      expect(await rig.client.configDiff("shop")).toMatchObject({ how: "reload" });
      expect(await rig.operate("configure")).toMatchObject({ kind: "reload", state: "done", from: 1, to: 2 });
      expect([await rig.get("/config"), await rig.get("/etc/greeting"), await rig.get("/etc/note")]).toEqual([
        "told",
        "told",
        "first",
      ]);
      expect(await pidOf(rig)).toBe(pid);
      const before = await rig.client.app("shop");
      expect(before).toMatchObject({ health: "healthy", current: { number: 2, state: "good" } });
      expect((await rig.client.logs("shop")).log).toContain("shop 1.0.0 begins as good");

      await rig.kill();
      await rig.start();
      expect((await rig.client.app("shop")).process).toEqual(before.process);
      await set(rig, "site", "greeting: told\nnote: second\n");
      expect(await rig.operate("configure")).toMatchObject({ kind: "configure", state: "done", to: 3 });
      expect([await rig.get("/config"), await rig.get("/etc/note")]).toEqual(["told", "second"]);
      expect(await pidOf(rig)).not.toBe(pid);
    }));

  test("a reload that makes the app sick is taken back in the same process; one that ends it, by a start", () =>
    withRig(async (rig) => {
      await live(rig, { config: [RELOADED] });
      const pid = await pidOf(rig);
      await set(rig, "site", "greeting: sick\n");
      expect(await rig.operate("configure")).toMatchObject({ kind: "reload", state: "failed", reverted: true });
      expect([await rig.get("/config"), await rig.get("/etc/greeting"), await pidOf(rig)]).toEqual([
        "hello",
        "hello",
        pid,
      ]);
      await set(rig, "site", "greeting: die\n");
      const ended = await rig.operate("configure");
      expect(ended).toMatchObject({ state: "failed", reverted: true, afterwards: { healthy: true } });
      expect(ended.reason?.message).toContain("the app ended");
      expect([await rig.get("/config"), await rig.get("/etc/greeting")]).toEqual(["hello", "hello"]);
      expect(readJson(join(rig.state, "failures", `${ended.id}.json`))).toMatchObject({
        log: expect.stringContaining("bad greeting"),
        processes: [expect.objectContaining({ exited: expect.anything() })],
      });
      expect(await rig.client.app("shop")).toMatchObject({ health: "healthy", current: { number: 1 } });
    }));

  test("a change that all share reaches every app that reads it, as one revision, and nothing else is started", () =>
    withRig(async (rig) => {
      const mail = { name: "mail", port: await freePort() };
      const news = { name: "news", port: await freePort() };
      const other: ConfigFile = { ...GREETING, template: '{{ other | default "none" }}' };
      await live(rig, {});
      for (const [app, config] of [
        [mail, RELOADED],
        [news, other],
      ] as const) {
        await rig.publish({ version: "1.0.0", declared: {}, stable: 100, config: [config], ...app });
        await operate(rig, app.name, "deploy");
      }
      const before = await pids(rig);
      await rig.client.setSecret("unread", "x");
      await set(rig, "app/news", "greeting: for nobody\n");
      await set(rig, "app/nwes", "greeting: for an app that is not here\n");
      const { apps, revision, warnings } = await set(rig, "global", "greeting: all\n");
      expect(apps.map(({ app, config }) => [app, config?.drift])).toEqual([
        ["mail", ["/etc/shop/greeting"]],
        ["news", []],
        ["shop", ["/etc/shop/greeting"]],
      ]);
      expect(warnings).toEqual([
        "app/news.yaml:1: no template on this node reads greeting (app/news)",
        "app/nwes.yaml:1: no template on this node reads greeting (app/nwes)",
      ]);

      const applied = hostd(rig, ["config", "apply"]);
      expect(applied.status).toBe(0);
      expect(applied.json).toMatchObject({
        revision,
        operations: [
          { app: "mail", kind: "reload", state: "done" },
          { app: "shop", kind: "configure", state: "done" },
        ],
      });
      const after = await pids(rig);
      expect(after["mail"]).toBe(before["mail"]);
      expect(after["news"]).toBe(before["news"]);
      expect(after["shop"]).not.toBe(before["shop"]);
      const status = (await rig.client.status()).apps;
      expect(status.map(({ app, current }) => [app, current?.number, current?.configRevision])).toEqual([
        ["mail", 2, revision],
        ["news", 1, 0],
        ["shop", 2, revision],
      ]);
      expect(status.map(({ config }) => config?.drift)).toEqual([[], [], []]);
      for (const port of [rig.port, mail.port]) expect(await ask(port, "/config")).toBe("all");
      expect(hostd(rig, ["config", "apply"]).json).toMatchObject({ operations: [] });
      expect(await rig.client.metrics()).toContain(`hostd_app_config_revision{app="mail"} ${revision}`);

      const back = hostd(rig, ["config", "apply", "--revision", "0"]);
      expect(back.status).toBe(0);
      expect(back.json).toMatchObject({
        revision: 0,
        operations: [
          { app: "mail", kind: "reload", state: "done" },
          { app: "news", state: "done", notes: ["runs with that config already"] },
          { app: "shop", kind: "configure", state: "done" },
        ],
      });
      for (const port of [rig.port, mail.port]) expect(await ask(port, "/config")).toBe("hello");
      const { number } = (await rig.client.app("shop")).current ?? {};
      expect(hostd(rig, ["config", "apply", "shop", "--revision", "99", "--no-json"])).toMatchObject({
        status: 2,
        text: `shop: no config revision 99 on this node: the newest is ${revision}\n  hint: hostd config history lists them\n`,
      });
      expect((await rig.client.app("shop")).current).toMatchObject({ number });
    }));

  test("where the image starts first, another config is proven beside the old one", () =>
    withRig(async (rig) => {
      await live(rig, { startFirst: true });
      await set(rig, "site", "greeting: sick\n");
      const failed = await rig.operate("configure");
      expect(failed).toMatchObject({ state: "failed", reverted: true });
      expect(failed.steps.filter(({ started }) => started !== undefined).map(({ name }) => name)).toEqual([
        ...["plan", "mount", "beside", "prove"],
      ]);
      await set(rig, "site", "greeting: well\n");
      expect(await rig.operate("configure")).toMatchObject({ state: "done" });
      expect(await rig.get("/config")).toBe("well");
    }));

  test("the commands: documents from a file, secrets from standard input, tables for people", () =>
    withRig(async (rig) => {
      await live(rig, {
        config: [{ ...GREETING, template: "{{ greeting }}: {{ secret.key }}" }],
        declared: { greeting: "hi" },
      }).catch(() => {});
      const file = join(rig.directory, "site.yaml");
      writeFileSync(file, "smtp:\n  port: 1.10\n");
      const refused = hostd(rig, ["config", "set", "site", file]);
      expect(refused.status).toBe(2);
      expect(refused.error).toContain(`${file}:2:9: 1.10 would be written 1.1`);
      expect(refused.error).toContain("  2 |   port: 1.10\n    |         ^^^^");
      writeFileSync(file, "greeting: good day\nsmtp: {port: 25}\n");
      expect(hostd(rig, ["config", "set", "site", file, "--no-json"]).text).toContain(
        "no template on this node reads smtp.port",
      );
      expect(hostd(rig, ["config", "set", "site", join(rig.directory, "none")]).status).toBe(2);
      expect(hostd(rig, ["config", "set", "site", rig.directory])).toMatchObject({
        status: 2,
        error: `error: ${rig.directory}: expected a file, found a directory\nhint: hostd config set site FILE takes one YAML or JSON document, - reads it from standard input\n`,
      });
      expect(hostd(rig, ["secret", "set", "key"], "k".repeat(32_769))).toMatchObject({
        status: 2,
        error: expect.stringContaining("expected a secret of at most 32768 characters"),
      });
      expect(hostd(rig, ["secret", "set", "key"], "")).toMatchObject({
        status: 2,
        error: expect.stringMatching(/^error: standard input: expected the secret, found nothing\nhint: /),
      });
      expect(hostd(rig, ["secret", "set", "key", "--no-json"], `${SECRET}\n`).text).toContain("set key: revision 2");
      expect(hostd(rig, ["activate", "shop"]).status).toBe(0);
      expect(await rig.get("/config")).toBe(`good day: ${SECRET}`);
      const shown = hostd(rig, ["config", "show", "shop", "--origin", "--no-json"]).text;
      expect(shown).toMatch(/greeting +"good day" +site +\S+site.yaml:1/);
      expect(shown).toMatch(/key +2/);
      writeFileSync(file, "greeting: good night\n");
      hostd(rig, ["config", "set", "site", file]);
      expect(hostd(rig, ["config", "diff", "shop", "--no-json"]).text).toMatch(
        /shop: config 2, revision 2 → 3; shop is started again\n--- a\/etc\/shop\/greeting.*-good day: \(secret key, revision 2\).*\+good night: \(secret key/s,
      );
      expect(hostd(rig, ["status", "shop", "--no-json"]).text).toContain("shop runs with revision 2, declared is 3");
      expect(hostd(rig, ["config", "apply", "shop", "--no-json"]).text).toContain("+good night");
      expect(hostd(rig, ["config", "history", "--no-json"]).text).toMatch(/3 .* site .*\n +2 .* secret key +set/);
      expect(hostd(rig, ["rollback", "shop", "--to", "current", "--with-config"]).status).toBe(0);
      expect(await rig.get("/config")).toBe(`good day: ${SECRET}`);
      expect(hostd(rig, ["rollback", "shop", "--to", "current", "--with-config", "3"]).status).toBe(0);
      expect(await rig.get("/config")).toBe(`good night: ${SECRET}`);
      expect(hostd(rig, ["secret", "list", "--no-json"]).text).toMatch(/key +2/);
      expect(hostd(rig, ["secret", "forget", "key"]).status).toBe(0);
      expect(hostd(rig, ["secret", "forget", "key"]).status).toBe(2);
    }));

  test("a reloaded app that is started again has the config it was told of", () =>
    withRig(async (rig) => {
      await live(rig, { config: [RELOADED] });
      await set(rig, "site", "greeting: told\n");
      await rig.operate("configure");
      await rig.reboot();
      await rig.start();
      expect(await rig.get("/config")).toBe("told");
      await set(rig, "site", "greeting: told again\n");
      expect(await rig.operate("configure")).toMatchObject({ kind: "reload", state: "done" });
      expect(await rig.get("/config")).toBe("told again");
      const pid = await pidOf(rig);
      const asked = { to: "current", withConfig: true, requestId: "back" };
      const back = await rig.operate("rollback", asked);
      expect(back).toMatchObject({ kind: "reload", state: "done" });
      expect([await rig.get("/config"), await pidOf(rig)]).toEqual(["told", pid]);
      expect(await rig.operate("rollback", asked)).toEqual(back);
    }));

  test("the same config is refused to an app that is kept stopped, with what ends that; another one starts it", () =>
    withRig(async (rig) => {
      await live(rig, {});
      await rig.stop();
      await withEngine(rig, async ({ engine }) => {
        engine.submit.halt({ app: "shop", by: "hostd", cause: "it was sick" });
        await engine.submit.settled();
      });
      await rig.start();
      const held = { code: "held", outcome: "refused", hint: "hostd start shop ends that" };
      await expect(rig.client.begin("shop", "configure", {})).rejects.toMatchObject(held);
      await expect(rig.client.begin("shop", "rollback", { to: "current" })).rejects.toMatchObject(held);
      await expect(rig.client.begin("shop", "restart", {})).rejects.toMatchObject(held);
      await set(rig, "site", "greeting: awake\n");
      expect(await rig.operate("configure")).toMatchObject({ kind: "configure", state: "done" });
      expect(await rig.get("/config")).toBe("awake");
    }));
});

const SECRET = "s3cr3t-of-the-shop";
const ROTATED = "another-s3cr3t";

describeWith(NEEDS, "secrets", () => {
  test("a secret is in the app's file and in no answer, no history, no database and no other file", () =>
    withRig(async (rig) => {
      const file: ConfigFile = { path: "/etc/shop/key", template: "key={{ secret.key }}\n" };
      await rig.publish({ version: "1.0.0", declared: {}, config: [GREETING, file], stable: 100 });
      await rig.start();
      expect(await rig.operate("deploy")).toMatchObject({
        reason: { code: "config-value", hint: expect.stringContaining("hostd secret set key") },
      });
      await rig.client.setSecret("key", "wrong");
      await rig.client.setSecret("shop/key", SECRET);
      await rig.operate("activate");
      expect(await rig.get("/etc/key")).toBe(`key=${SECRET}\n`);
      await rig.client.setSecret("shop/key", ROTATED);
      const diff = await rig.client.configDiff("shop");
      expect(diff.files.map((one) => one.diff).join()).toContain(
        "-key=(secret shop/key, revision 2)\n+key=(secret shop/key, revision 3)",
      );
      await rig.operate("configure");
      expect(await rig.get("/etc/key")).toBe(`key=${ROTATED}\n`);
      await set(rig, "site", "greeting: sick\n");
      const failed = await rig.operate("configure");
      expect(failed).toMatchObject({ state: "failed", reverted: true });
      expect(await rig.get("/etc/key")).toBe(`key=${ROTATED}\n`);
      await rig.operate("rollback", { to: "current", withConfig: true });
      expect(await rig.get("/etc/key")).toBe(`key=${SECRET}\n`);

      const told = [
        await rig.client.config(),
        await rig.client.appConfig("shop"),
        await rig.client.configHistory({}),
        await rig.client.status(),
        await rig.client.changes({}),
        await rig.client.failure(failed.id),
        await rig.client.collect(),
        await rig.client.metrics(),
        await rig.client.health(),
        await rig.client.logs("shop"),
        diff,
      ];
      for (const secret of [SECRET, ROTATED]) {
        expect(JSON.stringify(told)).not.toContain(secret);
        expect(rig.log()).not.toContain(secret);
        expect(filesWith(rig.state, secret)).toEqual([]);
        expect(filesWith(rig.state, Buffer.from(secret).toString("base64").slice(0, 12))).toEqual([]);
      }
      const [own] = filesWith(rig.run, SECRET).filter((path) => path.endsWith("/etc/shop/key"));
      const { mode, uid } = statSync(own ?? "");
      expect([mode & 0o777, uid]).toEqual([0o400, 61_184]);
      for (const name of readdirSync(join(rig.state, "secrets"))) {
        expect(statSync(join(rig.state, "secrets", name)).mode & 0o777).toBe(0o600);
      }
      expect(statSync(join(rig.state, "secrets")).mode & 0o777).toBe(0o700);
    }));

  test("one that was forgotten is kept for what was made with it, and refused to what would be", () =>
    withRig(async (rig) => {
      await rig.publish({
        version: "1.0.0",
        declared: {},
        config: [{ path: "/etc/shop/greeting", template: "{{ secret.key }}" }],
      });
      await rig.start();
      await rig.client.setSecret("key", SECRET);
      await rig.operate("deploy");
      await rig.client.forgetSecret("key");
      await expect(rig.client.begin("shop", "configure", {})).rejects.toMatchObject({ code: "config-value" });
      await expect(rig.client.forgetSecret("key")).rejects.toMatchObject({ code: "unknown-secret" });
      await rig.reboot();
      await rig.start();
      expect(await rig.get("/config")).toBe(SECRET);
      await expect(rig.client.setSecret("a b", "x")).rejects.toMatchObject({ code: "bad-request" });
      await expect(rig.client.setSecret("a/b/c", "x")).rejects.toMatchObject({ code: "bad-request" });
    }));
});

describeWith(NEEDS, "a key for secrets that opens none of them", () => {
  test("is told as the node's problem and mixed with no other; it holds what needs a secret, and nothing else", () =>
    withRig(async (rig) => {
      const key = join(rig.directory, "key");
      writeFileSync(key, "k".repeat(32));
      await rig.start({ options: ["--secrets-key", key] });
      await rig.client.setSecret("shop/key", SECRET);
      await rig.publish({
        version: "1.0.0",
        stable: 100,
        config: [{ path: "/etc/shop/greeting", template: "{{ secret.key }}" }],
      });
      expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
      const port = await freePort();
      await rig.publish({ version: "1.0.0", stable: 100, name: "plain", port });
      await operate(rig, "plain", "deploy");
      expect(await rig.client.health()).toMatchObject({ problems: [] });
      await rig.stop();

      const other = join(rig.directory, "other");
      writeFileSync(other, "o".repeat(32));
      await rig.start({ options: ["--secrets-key", other] });
      expect(await rig.client.status()).toMatchObject({
        problems: [expect.stringMatching(/other: .* found another$/)],
      });
      await rig.stop();
      await rig.start();
      const problem = `${join(rig.state, "secrets/key")}: expected the key that the secrets shop/key were sealed with, found none`;
      expect(await rig.client.status()).toMatchObject({ problems: [problem] });
      expect(await rig.client.health()).toMatchObject({ verdict: "red", problems: [problem] });
      expect((await rig.client.events({ limit: 100 })).events).toContainEqual(
        expect.objectContaining({ kind: "secret.unreadable", detail: { reason: problem } }),
      );
      expect(hostd(rig, ["status", "--no-json"]).text).toContain(`BAD ${problem}`);
      expect(hostd(rig, ["secret", "set", "other"], "value")).toMatchObject({
        status: 3,
        error: expect.stringMatching(/hint: start hostd with the --secrets-key that they were set with/),
      });
      expect(readdirSync(join(rig.state, "secrets"))).toHaveLength(1);
      expect(await rig.operate("restart")).toMatchObject({ state: "failed", reason: { code: "other-key" } });
      expect(await rig.get("/config")).toBe(SECRET);

      await rig.reboot();
      await rig.start();
      expect(await ask(port, "/version")).toBe("1.0.0");
      await eventually(
        () => rig.client.app("shop"),
        ({ hindered }) => hindered === problem,
      );
      await rig.stop();
      await rig.start({ options: ["--secrets-key", key] });
      await eventually(
        () => rig.client.app("shop"),
        ({ health }) => health === "healthy",
        20_000,
      );
      expect(await rig.get("/config")).toBe(SECRET);
    }));
});

/** Files below a directory whose bytes hold a text. */
function filesWith(directory: string, text: string): string[] {
  const found = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return found.map((entry) => join(entry.parentPath, entry.name)).filter((path) => readFileSync(path).includes(text));
}

/** As the node sees it: in its own namespace every app is the same number. */
async function pidOf(rig: Rig): Promise<number | undefined> {
  return (await rig.client.app("shop")).process?.pid;
}

async function set(rig: Rig, layer: string, text: string) {
  return await rig.client.setLayer(layer, `${layer}.yaml`, text);
}

function hostd(rig: Rig, words: string[], input = "") {
  const socket = ["--socket", join(rig.run, "hostd.sock")];
  const options = { encoding: "utf8", timeout: 60_000, input } as const;
  const { status, stdout: text, stderr: error } = spawnSync(join(root, "bin/hostd"), [...words, ...socket], options);
  return { status, text, error, json: text.startsWith("{") ? (JSON.parse(text) as unknown) : undefined };
}

async function operate(rig: Rig, app: string, verb: string) {
  const begun = await rig.client.begin(app, verb, {});
  const ended = await rig.client.wait(begun, () => {}, AbortSignal.timeout(60_000));
  expect(ended).toMatchObject({ app, state: "done" });
}

async function pids(rig: Rig): Promise<Record<string, number | undefined>> {
  const { apps } = await rig.client.status();
  return Object.fromEntries(apps.map(({ app, process }) => [app, process?.pid]));
}

async function ask(port: number, path: string): Promise<string> {
  return await (await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: "close" } })).text();
}

/** Publishes 1.0.0, deploys it and expects it to be good. */
async function live(rig: Rig, options: Partial<Parameters<Rig["publish"]>[0]>) {
  await rig.publish({ version: "1.0.0", declared: {}, config: [GREETING], within: 5_000, stable: 200, ...options });
  await rig.start();
  expect(await rig.operate("deploy")).toMatchObject({ state: "done" });
}
