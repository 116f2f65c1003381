import { mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openNode } from "../../../../hostd/system/node.ts";
import { startRemoteNode } from "../../../lab/remote-node.ts";
import { describeLauncherContract } from "../../../launcher-contract.ts";
import { describeWith } from "../../../needs.ts";
import { eventually, shellSpec } from "./fixture.ts";
import { useRoot } from "./root.ts";

describeWith({ root: true, programs: ["bwrap", "perl"] }, "the bubblewrap launcher", () => {
  const root = useRoot();
  let directory = "";
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "launcher-"));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  describeLauncherContract({
    hostd: (...environment) =>
      startRemoteNode((command) => ["env", ...environment, ...command], {
        state: join(directory, "state"),
        run: join(directory, "run"),
        launcher: "bubblewrap",
      }),
    root,
    async lose(app) {
      const socket = join(directory, "run/apps", app, "holder.sock");
      renameSync(socket, `${socket}.lost`);
      return async () => renameSync(`${socket}.lost`, socket);
    },
  });

  test("without a holder that answers, hostd itself asks an app by the signal that its image names", async () => {
    const run = join(directory, "alone");
    const node = await openNode({ stateDirectory: join(directory, "state"), runDirectory: run });
    await node.ensureHolder("shop", []);
    const script = "trap 'echo wrong' TERM; trap 'echo right; exit 4' QUIT; echo ready; while :; do sleep 0.05; done";
    await node.start(shellSpec(root(), 1, script, { stopSignal: 3 }));
    await eventually(
      () => node.logs("shop", 1),
      (text) => text === "ready\n",
    );
    const socket = join(run, "apps/shop/holder.sock");
    renameSync(socket, `${socket}.lost`);
    await node.stop("shop", 1, 60_000);
    await eventually(
      () => node.logs("shop", 1),
      (text) => text === "ready\nright\n",
    );
    renameSync(`${socket}.lost`, socket);
    await node.removeHolder("shop");
  });

  test("a run directory keeps its launcher: another is refused, `auto` takes the one it has", async () => {
    const options = { stateDirectory: join(directory, "state"), runDirectory: join(directory, "kept") };
    const node = await openNode(options);
    await openNode({ ...options, launcher: "auto" });
    expect(readFileSync(join(directory, "kept/launcher"), "utf8")).toBe("bubblewrap\n");
    await expect(openNode({ ...options, launcher: "systemd" })).rejects.toMatchObject({
      code: "other-launcher",
      hint: expect.stringMatching(/^reboot, then choose; hostd reset --keep-data .* forgets/),
    });
    await node.removeHolder("shop");
  });
});
