import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import type { FailureBundle } from "../../../manifests/bundle.ts";
import { freePort } from "../../free-port.ts";
import { eventually } from "../../hostd/rig.ts";
import { type ExchangeLab, openExchangeLab } from "../../lab/exchange-lab.ts";
import { useLabNode } from "../../lab/node.ts";
import { describeWith } from "../../needs.ts";

/** Milliseconds for one exchange and its way back; a hostd that stands still takes its watchdog's time, three times. */
const LIMIT = 300_000;

const GUARD = "hostd-exchange.service";

describeWith({ root: true, programs: ["systemd-nspawn", "mmdebstrap", "perl"] }, "hostd exchanged by its guard", () => {
  const node = useLabNode();
  let lab: ExchangeLab;
  let port = 0;

  const get = async () =>
    (await fetch(`http://127.0.0.1:${port}/version`, { headers: { connection: "close" } })).text();
  const runs = async (version: string) => {
    const { host } = await lab.status();
    expect(host?.booted).toMatchObject({ version, as: "good" });
    expect((await node().run(["cat", "/usr/lib/hostd/version"])).stdout.trim()).toBe(version);
  };
  const appProcess = async () => (await lab.status()).apps.find(({ app }) => app === "shop")?.process;
  const bootId = async () => (await node().run(["cat", "/proc/sys/kernel/random/boot_id"])).stdout;

  beforeAll(async () => {
    lab = await openExchangeLab(node());
    port = await freePort();
    await lab.publisher.publish({ version: "1.0.0", sequence: 1, port });
    for (const verb of ["stage", "activate"]) {
      expect(await lab.ended(await lab.begin(verb, "shop"))).toMatchObject({ state: "done" });
    }
  }, LIMIT);

  test(
    "up, and a second one on top, and back, and back to what the machine was started with; the app never notices",
    async () => {
      const [process, boot] = [await appProcess(), await bootId()];
      let stop = false;
      const failures: string[] = [];
      const client = async () => {
        while (!stop) await get().catch((error) => failures.push(String(error.cause ?? error)));
      };
      const clients = Promise.all([client(), client()]);
      const versions = [await lab.stage("2.0.0"), await lab.stage("3.0.0")];
      expect((await lab.status()).host?.next).toMatchObject({ version: "3.0.0", live: true });
      for (const { version, image } of [...versions, ...versions.slice(0, 1), lab.first]) {
        const { state, reason } = await lab.ended(await lab.begin("activate", "host", image));
        expect({ state, why: reason?.message }).toEqual({ state: "done" });
        await runs(version);
      }
      stop = true;
      await clients;
      expect(failures).toEqual([]);
      expect(await appProcess()).toEqual(process);
      expect(await bootId()).toBe(boot);
      expect((await node().run(["cat", "/proc/self/mountinfo"])).stdout).not.toContain(" /usr/lib/hostd ");
    },
    LIMIT,
  );

  test(
    "hostd activate follows it across the exchange, to its end",
    async () => {
      const { stdout } = await node().run(["hostd", "activate", "host", "--no-json"]);
      expect(stdout).toMatch(/upgrade host 3\.0\.0: done/);
      await runs("3.0.0");
    },
    LIMIT,
  );

  test.each([
    ["cannot be executed", "not executable", /its hostd ended \d times \(exit-code\)/, /Permission denied/],
    ["ends at once", "echo cannot go on; exit 1", /its hostd ended \d times \(exit-code\)/, /cannot go on/],
    ["never says that it is ready", "echo waiting; exec sleep infinity", /not ready within 60 s/, /waiting/],
    [
      "ends again and again after it said so",
      "systemd-notify --ready; sleep 0.2; echo over; exit 1",
      /its hostd ended \d times/,
      /over/,
    ],
    [
      "stands still after it said so",
      "echo still; systemd-notify --ready; exec sleep infinity",
      /its hostd ended \d times \(watchdog\)/,
      /still.*Watchdog timeout/s,
    ],
    [
      "cannot open the journal",
      `echo none >/run/none; exec unshare --mount sh -c 'mount --bind /run/none /var/lib/hostd/hostd.db; exec /usr/lib/hostd/real "$@"' hostd "$@"`,
      /its hostd ended \d times/,
      /not a database/,
    ],
  ])(
    "one that %s is taken back by itself, quarantined, with its own journal",
    async (name, program, why, journal) => {
      const [process, boot] = [await appProcess(), await bootId()];
      const bad = await lab.stage(`4.0.0-${name.replaceAll(" ", "-")}`, program);
      const failed = await lab.ended(await lab.begin("activate", "host", bad.image));
      expect(failed).toMatchObject({ state: "failed", reverted: true, reason: { code: "trial-failed" } });
      expect(failed.reason?.message).toMatch(why);
      expect(failed.afterwards).toMatchObject({ healthy: true });
      await runs("3.0.0");
      expect((await lab.status()).quarantine.map(({ image }) => image)).toContain(bad.image);
      const bundle = (await lab.hostd("failure", String(failed.id))) as FailureBundle;
      expect(bundle.boot?.journal).toMatch(journal);
      expect(await appProcess()).toEqual(process);
      expect(await bootId()).toBe(boot);
    },
    LIMIT,
  );

  test(
    "one that is ready and never proves itself is taken back when its time is over",
    async () => {
      const living = "systemd-notify --ready; while sleep 0.5; do systemd-notify WATCHDOG=1; done";
      const bad = await lab.stage("5.0.0", living);
      const id = await lab.begin("activate", "host", bad.image);
      await eventually(
        async () =>
          (
            await node()
              .run(["cat", "/usr/lib/hostd/version"])
              .catch(() => undefined)
          )?.stdout.trim(),
        (version) => version === "5.0.0",
      );
      await node().run(["sed", "-i", "s/ [0-9]*$/ 1/", "/run/ostler/exchange"]); // its time is over now, not in ten minutes
      const failed = await lab.ended(id);
      expect(failed.reason?.message).toBe("guard: its hostd was not proven in time");
      await runs("3.0.0");
    },
    LIMIT,
  );

  test(
    "kill -9 of the new hostd in its trial: it starts again, and is not taken back for that",
    async () => {
      const next = await lab.stage("6.0.0");
      const id = await lab.begin("activate", "host", next.image, "--confirm-within", "100");
      await eventually(
        () => lab.status().catch(() => undefined),
        (status) => status?.host?.booted.version === "6.0.0",
        LIMIT,
      );
      const pid = await lab.show("MainPID");
      await lab.kill("hostd.service");
      await eventually(
        async () => [await lab.show("MainPID"), await lab.show("ActiveState")],
        ([now, state]) => now !== "0" && now !== pid && state === "active",
      );
      await eventually(
        () => lab.hostd("confirm") as Promise<{ id?: number }>,
        (confirmed) => confirmed.id === id,
      );
      expect(await lab.ended(id)).toMatchObject({ state: "done" });
      await runs("6.0.0");
    },
    LIMIT,
  );

  test.each([
    ["a good one", "good", { state: "done" }],
    ["a bad one", "echo cannot go on; exit 1", { state: "failed", reverted: true }],
  ])(
    "kill -9 of the guard again and again while it exchanges %s: the same end",
    async (name, program, expected) => {
      const next = await lab.stage(`7.0.0-${name.replaceAll(" ", "-")}`, program);
      const before = (await lab.status()).host?.booted.version ?? "";
      const kills = await lab.kills(GUARD);
      const id = await lab.begin("activate", "host", next.image);
      let over = false;
      const killing = (async () => {
        for (let pause = 50; !over && pause < 1_500; pause += 50) {
          await delay(pause);
          await lab.kill(GUARD).catch(() => {}); // it may not run just now
        }
      })();
      expect(await lab.ended(id)).toMatchObject(expected);
      over = true;
      await killing;
      expect(await lab.kills(GUARD)).toBeGreaterThan(kills);
      await runs(expected.state === "done" ? next.version : before);
    },
    LIMIT,
  );

  test(
    "a power cut as soon as it was proven boots it, whole, and nothing of the exchange is left",
    async () => {
      const next = await lab.stage("8.0.0");
      expect(await lab.ended(await lab.begin("activate", "host", next.image))).toMatchObject({ state: "done" });
      expect((await lab.status()).host?.started?.root).toBe(lab.first.root);
      await lab.powerCut();
      const { host, apps } =
        (await eventually(
          () => lab.status().catch(() => undefined),
          (status) => status?.apps.every(({ health }) => health === "healthy") === true,
          LIMIT,
        )) ?? {};
      expect(host?.booted).toMatchObject({ root: next.root, version: "8.0.0", as: "good" });
      expect(host?.started).toBeUndefined();
      expect(apps?.flatMap(({ operations }) => operations)).toEqual([]);
      expect(await get()).toBe("1.0.0");
      expect((await node().run(["cat", "/proc/self/mountinfo"])).stdout).not.toContain(" /usr/lib/hostd ");
    },
    LIMIT,
  );
});
