import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { startRemoteNode } from "../../../lab/remote-node.ts";
import { describeLauncherContract } from "../../../launcher-contract.ts";
import { describeWith } from "../../../needs.ts";
import { useRoot } from "./root.ts";

describeWith({ root: true, programs: ["bwrap", "perl"] }, "the bubblewrap launcher", () => {
  const root = useRoot();
  let directory = "";
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "launcher-"));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  describeLauncherContract({
    hostd: () =>
      startRemoteNode((command) => command, {
        state: join(directory, "state"),
        run: join(directory, "run"),
        launcher: "bubblewrap",
      }),
    root,
  });
});
