import { rm } from "node:fs/promises";
import { runEntered } from "./entered.ts";
import { launchCommand } from "./launch.ts";
import type { HookResult, HookSpec } from "./node.ts";
import type { Paths } from "./paths.ts";
import { prepareSandbox } from "./sandbox.ts";

/**
 * Runs a hook in the image's sandbox, as the app's user. It is a child of hostd and dies with it (bwrap
 * --die-with-parent), so no hook goes on unseen while hostd recovers.
 */
export async function runHook(paths: Paths, spec: HookSpec, user: number): Promise<HookResult> {
  const sandbox = await prepareSandbox(paths, spec, `hook-${process.pid}-${process.hrtime.bigint()}`);
  try {
    return await runEntered(launchCommand(sandbox, 0), spec, user, spec.timeoutMs, spec.signal);
  } finally {
    for (const made of [sandbox.points, sandbox.live?.links ?? []].flat())
      await rm(made, { recursive: true, force: true });
  }
}
