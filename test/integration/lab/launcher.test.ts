import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll } from "vitest";
import { useLabNode } from "../../lab/node.ts";
import { startRemoteNode } from "../../lab/remote-node.ts";
import { describeLauncherContract } from "../../launcher-contract.ts";
import { describeWith } from "../../needs.ts";
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

  describeLauncherContract({
    hostd: () =>
      startRemoteNode((command) => node().enter(command), {
        state: "/var/lib/hostd",
        run: "/run/hostd",
        launcher: "systemd",
      }),
    root: () => IMAGE,
  });
});
