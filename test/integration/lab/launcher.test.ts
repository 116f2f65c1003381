import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { freePort } from "../../free-port.ts";
import { useLabNode } from "../../lab/node.ts";
import { startRemoteNode } from "../../lab/remote-node.ts";
import { connect, describeLauncherContract } from "../../launcher-contract.ts";
import { describeWith } from "../../needs.ts";
import { eventually, serverSpec, shellSpec } from "../hostd/system/fixture.ts";
import { makeRoot } from "../hostd/system/root.ts";

const IMAGE = "/srv/image";

describeWith({ root: true, programs: ["systemd-nspawn", "mmdebstrap", "perl"] }, "the systemd launcher", () => {
  const node = useLabNode();
  beforeAll(() => {
    const directory = join(node().root, IMAGE);
    mkdirSync(directory);
    chmodSync(directory, 0o755);
    makeRoot(directory);
  });

  const hostd = (...environment: string[]) =>
    startRemoteNode((command) => node().enter(["env", ...environment, ...command]), {
      state: "/var/lib/hostd",
      run: "/run/hostd",
      launcher: "systemd",
    });

  describeLauncherContract({
    hostd,
    root: () => IMAGE,
    async lose(app) {
      await loseUnits(app);
      return async () => {};
    },
  });

  /** Removes the files of an app's units; systemd goes on holding what is active. */
  async function loseUnits(app: string): Promise<void> {
    await node().run(["sh", "-c", `rm /run/systemd/system/hostd-app-${app}@*`]);
    await node().run(["systemctl", "daemon-reload"]);
  }

  test("units whose files are gone are stopped, started and removed like others, sockets too", async () => {
    const { node: effects, kill } = await hostd();
    const [kept, left] = [await freePort(), await freePort()];
    const listen = (port: number) => ({ address: "127.0.0.1", port });
    await effects.ensureHolder("shop", [listen(kept), listen(left)]);
    const lost = connect(kept).catch(() => "lost"); // its hold runs now
    await effects.start(shellSpec(IMAGE, 1, "exec sleep 1000", { listenFds: 2 }));
    await loseUnits("shop");
    await effects.stop("shop", 1, 5000);
    expect(await lost).toBe("lost");
    await effects.ensureHolder("shop", [listen(kept)]);
    await effects.start(serverSpec(IMAGE, 1));
    expect(await connect(kept)).toMatch(/v1$/);
    await expect(connect(left)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await loseUnits("shop");
    await effects.removeHolder("shop");
    await expect(connect(kept)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await kill();
    const listed = await node().run(["systemctl", "list-units", "--plain", "--no-legend", "--all", "hostd-app-*"]);
    expect(listed.stdout).toBe("");
  });

  test("a log that is empty is told from one that the journal forgot", async () => {
    const { node: effects, kill } = await hostd();
    await effects.ensureHolder("quiet", []);
    await effects.start(shellSpec(IMAGE, 1, "exec sleep 1000", { app: "quiet" }));
    await eventually(() => effects.keepsLog("quiet", 1), Boolean);
    expect(await effects.logs("quiet", 1)).toBe("");
    await effects.removeHolder("quiet");
    await eventually(
      async () => {
        await node().run(["journalctl", "--rotate", "--vacuum-time=1s"]);
        return effects.keepsLog("quiet", 1);
      },
      (kept) => !kept,
    );
    await kill();
  });

  test("an app dies with its steward, its sockets stay open, and the next start serves them", async () => {
    const { node: effects, kill } = await hostd();
    const port = await freePort();
    await effects.ensureHolder("shop", [{ address: "127.0.0.1", port }]);
    await effects.start(serverSpec(IMAGE, 1));
    const unit = "hostd-app-shop@1.service";
    await node().run(["systemctl", "kill", "--kill-whom=main", "--signal=KILL", unit]);
    const [dead] = await eventually(
      () => effects.running("shop"),
      ([one]) => one?.exited !== undefined,
    );
    expect(dead?.exited).toEqual({ at: expect.any(String) });
    const waiting = fetch(`http://127.0.0.1:${port}/`);
    await effects.start(serverSpec(IMAGE, 2));
    expect(await (await waiting).text()).toBe("v2");
    await effects.removeHolder("shop");
    await kill();
    const { stdout } = await node().run(["ls", "/run/systemd/system"]);
    expect(stdout.split("\n").filter((name) => name.startsWith("hostd-"))).toEqual([]);
  });
});
