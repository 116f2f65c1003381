import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openNode } from "../../../../hostd/system/node.ts";
import { lastRunDirectory } from "../../../../hostd/system/pair.ts";
import { freePort } from "../../../free-port.ts";
import { describeWith } from "../../../needs.ts";
import { serverSpec, withNode } from "./fixture.ts";
import { useRoot } from "./root.ts";

describeWith({ root: true, programs: ["bwrap", "perl"] }, "a state directory and a run directory", () => {
  const root = useRoot();

  test("stay a pair while an app lives there, and no longer; a copy of the state is no part of it", () =>
    withNode(async ({ node, directory, state, run }) => {
      const open = (stateDirectory: string, runDirectory: string) => openNode({ stateDirectory, runDirectory });
      const at = (name: string) => join(directory, name);
      const parted = {
        code: "other-run-directory",
        message: expect.stringContaining(`expected --state ${state} --run ${run}, where shop lives`),
      };
      await node.ensureHolder("shop", [{ address: "127.0.0.1", port: await freePort() }]);
      mkdirSync(join(run, "apps", "lost+found")); // nobody's app
      await expect(open(state, at("run-2"))).rejects.toMatchObject(parted);
      await node.start(serverSpec(root(), 1));
      cpSync(state, at("copy"), { recursive: true });
      for (const [other, place] of [
        [state, at("run-2")],
        [at("state-2"), run],
        [at("copy"), run],
      ] as const)
        await expect(open(other, place)).rejects.toMatchObject(parted);
      await open(at("copy"), at("run-2"));
      expect(await lastRunDirectory(at("copy"))).toBe(at("run-2"));
      expect(await lastRunDirectory(state)).toBe(run);

      await node.removeHolder("shop");
      await open(state, at("run-3"));
      expect(await lastRunDirectory(state)).toBe(at("run-3"));
      await open(at("state-2"), run);
      expect(await lastRunDirectory(at("state-2"))).toBe(run);
      rmSync(at("run-3"), { recursive: true }); // as a reboot does
      expect(await lastRunDirectory(state)).toBeUndefined();
      await open(state, at("run-4"));
      expect(await lastRunDirectory(state)).toBe(at("run-4"));
    }));
});
