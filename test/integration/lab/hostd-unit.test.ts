import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { freePort } from "../../free-port.ts";
import { openPublisher, type Publisher } from "../../hostd/publisher.ts";
import { eventually } from "../../hostd/rig.ts";
import { useLabNode } from "../../lab/node.ts";
import { describeWith } from "../../needs.ts";

const HOSTD = join(import.meta.dirname, "..", "..", "..", "bin", "hostd");
const UNIT = "etc/systemd/system/hostd.service";

describeWith({ root: true, programs: ["systemd-nspawn", "mmdebstrap", "perl"] }, "hostd.service", () => {
  const node = useLabNode();
  let port = 0;
  let publisher: Publisher;

  const get = async () => (await fetch(`http://127.0.0.1:${port}/`)).text();
  const show = async (property: string, unit = "hostd.service") =>
    (await node().run(["systemctl", "show", `--property=${property}`, "--value", unit])).stdout.trim();
  const hostd = async (...words: string[]) => JSON.parse((await node().run([HOSTD, ...words, "--json"])).stdout);
  const appPid = () => show("MainPID", generation);
  const generation = "hostd-app-shop@1.service";

  /** Waits until systemd has started hostd anew and it says READY. */
  const restarted = (pid: string) =>
    eventually(
      async () => [await show("MainPID"), await show("ActiveState")],
      ([now, state]) => now !== "0" && now !== pid && state === "active",
    );

  beforeAll(async () => {
    port = await freePort();
    const directory = join(node().root, "srv");
    publisher = await openPublisher(directory);
    mkdirSync(join(node().root, "etc/hostd"));
    copyFileSync(publisher.rootFile, join(node().root, "etc/hostd/root.json"));
    const options = ["--repository", "/srv/repository", "--root", "/etc/hostd/root.json", "--reserve", "1"];
    const { stdout } = await node().run([HOSTD, "unit", ...options]);
    writeFileSync(join(node().root, UNIT), stdout);
    mkdirSync(join(node().root, `${UNIT}.d`));
    writeFileSync(join(node().root, `${UNIT}.d/quick.conf`), "[Service]\nWatchdogSec=6\nRestartSec=0.1\n");
    await node().run(["systemctl", "daemon-reload"]);
  });

  test("the unit is valid, and its start ends when hostd answers", async () => {
    await node().run(["systemd-analyze", "verify", "--recursive-errors=no", `/${UNIT}`]);
    await node().run(["systemctl", "enable", "--now", "hostd.service"]);
    expect(await hostd("status")).toMatchObject({ apps: [] });
    expect(await show("ActiveState")).toBe("active");
  });

  test("a version is staged and activated as a unit of its own", async () => {
    await publisher.publish({ version: "1.0.0", sequence: 1, port });
    expect(await hostd("stage", "shop")).toMatchObject({ state: "done" });
    expect(await hostd("activate", "shop")).toMatchObject({ state: "done" });
    expect(await get()).toBe("1.0.0");
    expect(await show("ActiveState", generation)).toBe("active");
    expect(await show("Result", generation)).toBe("success");
  });

  test("kill -9 of hostd: it is back, and the app was not touched", async () => {
    const [pid, before] = [await show("MainPID"), await appPid()];
    await node().run(["systemctl", "kill", "--kill-whom=main", "--signal=KILL", "hostd.service"]);
    await restarted(pid);
    expect(await appPid()).toBe(before);
    expect(await get()).toBe("1.0.0");
    expect(await hostd("health")).toBeDefined();
  });

  test("a hostd that stands still is ended by the watchdog and started again, and the app was not touched", async () => {
    const [pid, before] = [await show("MainPID"), await appPid()];
    await delay(7_000);
    expect(await show("MainPID")).toBe(pid);
    await node().run(["systemctl", "kill", "--kill-whom=main", "--signal=STOP", "hostd.service"]);
    await restarted(pid);
    const { stdout } = await node().run(["journalctl", "--unit=hostd.service", "--output=cat"]);
    expect(stdout).toContain("hostd.service: Watchdog timeout");
    expect(await appPid()).toBe(before);
    expect(await get()).toBe("1.0.0");
  });

  test("stopping hostd leaves apps and their sockets alone; the next start adopts them", async () => {
    const before = await appPid();
    await node().run(["systemctl", "stop", "hostd.service"]);
    expect(await get()).toBe("1.0.0");
    await node().run(["systemctl", "start", "hostd.service"]);
    expect(await appPid()).toBe(before);
  });

  test("a switch under load refuses no request", async () => {
    await publisher.publish({ version: "2.0.0", sequence: 2, port });
    let stop = false;
    const failures: string[] = [];
    const seen = new Set<string>();
    const client = async () => {
      while (!stop)
        await get().then(
          (version) => seen.add(version),
          (error) => failures.push(String(error.cause ?? error)),
        );
    };
    const clients = Promise.all([client(), client(), client()]);
    await hostd("stage", "shop");
    expect(await hostd("activate", "shop")).toMatchObject({ state: "done" });
    stop = true;
    await clients;
    expect(failures).toEqual([]);
    expect([...seen]).toEqual(["1.0.0", "2.0.0"]);
    expect(await show("ActiveState", generation)).toBe("inactive");
  });

  test("after a power cut and after a clean reboot the app runs again by itself", async () => {
    for (const restart of [node().powerCut, node().reboot]) {
      await restart();
      await eventually(
        () => get().catch(() => ""),
        (version) => version === "2.0.0",
      );
      expect((await node().run(["systemctl", "is-system-running", "--wait"])).stdout.trim()).toBe("running");
    }
  });

  test("a job is run to its end by a unit that leaves nothing; one that a clean reboot interrupts is told as that", async () => {
    await publisher.publish({ name: "backup", version: "1.0.0", sequence: 1, port, job: { seconds: 0.1, exit: 0 } });
    expect(await hostd("stage", "backup")).toMatchObject({ state: "done" });
    expect(await hostd("activate", "backup")).toMatchObject({ state: "done", run: { exitCode: 0 } });
    await publisher.publish({ name: "backup", version: "2.0.0", sequence: 2, port, job: { seconds: 60, exit: 0 } });
    await hostd("stage", "backup");
    const { id } = await hostd("activate", "backup", "--no-wait");
    const unit = "hostd-app-backup@2.service";
    await eventually(
      () => show("ActiveState", unit),
      (state) => state === "active",
    );
    await node().reboot();
    const told = await eventually(
      () => hostd("changes", String(id)).catch(() => undefined),
      (operation) => operation?.finished !== undefined,
    );
    expect(told).toMatchObject({ state: "failed", reverted: true, reason: { code: "job-interrupted" } });
    expect(await show("ActiveState", unit)).toBe("inactive");
    expect(await hostd("run", "backup")).toMatchObject({ state: "done", version: "1.0.0", run: { exitCode: 0 } });
    const { stdout } = await node().run(["ls", "/run/systemd/system"]);
    expect(stdout).not.toContain("backup");
  });

  test("reset stops the apps that systemd runs, and leaves no unit", async () => {
    await node().run(["systemctl", "stop", "hostd.service"]);
    expect(await hostd("reset", "--wipe")).toMatchObject({ stopped: ["shop"] });
    await expect(get()).rejects.toThrow();
    const { stdout } = await node().run(["systemctl", "list-units", "--all", "--no-legend", "hostd-app-*"]);
    expect(stdout).not.toContain(".service");
    expect(stdout).not.toContain(".socket");
  });
});
