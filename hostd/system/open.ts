import { mkdir, statfs } from "node:fs/promises";
import { checkHealth } from "./check.ts";
import { openConfig, removeHalfMadeConfig } from "./config.ts";
import { openData } from "./data.ts";
import { runHook } from "./hook.ts";
import { openLauncher } from "./launcher.ts";
import { openLayers } from "./layers.ts";
import type { NodeOptions, NodeSystem } from "./node.ts";
import { pairDirectories } from "./pair.ts";
import { pathsOf } from "./paths.ts";
import { sendSignal } from "./proc.ts";
import { openSlots } from "./slots.ts";
import { openUsers } from "./users.ts";
import { openVerityDevices } from "./verity.ts";

/**
 * Opens a node's effects on two directories; removes what a killed daemon left half made, and starts nothing. Refuses
 * two directories of which one has living apps with another one.
 */
export async function openNode(options: NodeOptions): Promise<NodeSystem> {
  const paths = pathsOf(options);
  await mkdir(options.stateDirectory, { recursive: true, mode: 0o700 });
  await mkdir(options.runDirectory, { recursive: true, mode: 0o755 });
  await pairDirectories(options);
  const userOf = openUsers(paths);
  await removeHalfMadeConfig(paths);
  const devices = await openVerityDevices(options.runDirectory);
  await devices?.closeLeftovers();
  const { deleteLayer, ...layers } = await openLayers(paths);
  const { unmountLayer, ...slots } = openSlots(paths, layers.checkLayer, devices);
  const apps = await openLauncher(paths, options.runDirectory, userOf, options.launcher ?? "bubblewrap");
  return {
    ...layers,
    ...slots,
    ...apps,
    ...(await openData(paths, userOf, options.data)),
    ...openConfig(paths, userOf),
    async removeLayer(root, isUnused) {
      await unmountLayer(root);
      return await deleteLayer(root, isUnused);
    },
    async freeBytes() {
      const { bavail, bsize } = await statfs(options.stateDirectory);
      return bavail * bsize;
    },
    async signal(app, generation, signal) {
      const living = (await apps.running(app)).find((one) => one.generation === generation && one.exited === undefined);
      if (living !== undefined && living.pid > 0) sendSignal(living.pid, signal);
    },
    runHook: async (spec) => runHook(paths, spec, await userOf(spec.app)),
    async check(health, { app, generation, probe }) {
      const running = (await apps.running(app)).find((one) => one.generation === generation);
      return checkHealth(health, running, await userOf(app), probe);
    },
  };
}
