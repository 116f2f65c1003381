import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { freePort } from "../../free-port.ts";
import { useLabNode } from "../../lab/node.ts";
import { startRemoteNode } from "../../lab/remote-node.ts";
import { describeLauncherContract } from "../../launcher-contract.ts";
import { describeWith } from "../../needs.ts";
import { eventually, serverSpec } from "../hostd/system/fixture.ts";
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

  const hostd = () =>
    startRemoteNode((command) => node().enter(command), {
      state: "/var/lib/hostd",
      run: "/run/hostd",
      launcher: "systemd",
    });

  describeLauncherContract({
    hostd,
    root: () => IMAGE,
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
