import { RECOVERY_ENTRY } from "../../images/boot/entries.ts";
import { type Boot, type BootFile, bootOf } from "../../manifests/boot.ts";
import type { Digest } from "../../manifests/digest.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import type { SlotRow } from "../journal/slots.ts";
import type { Context } from "../operations/context.ts";
import type { HostSystem } from "../system/host/open.ts";
import type { Version } from "./entries.ts";
import type { HostPlan } from "./plan.ts";

// What the rest of hostd/host asks about the host: one product of this node is the system that it runs on.

/** The host's effects; refuses on a node that was not booted from a host image. */
export function hostOf(engine: Pick<Engine, "host">): HostSystem {
  if (engine.host !== undefined) return engine.host;
  throw new HostdError("no-host", "this machine was not booted from a host image: nothing here can upgrade it", {
    hint: "ostler disk makes the first disk of a host",
  });
}

/** The product that is this node's host; undefined where none was adopted or staged. */
export function hostApp(engine: Pick<Engine, "host" | "journal">): string | undefined {
  return engine.host === undefined ? undefined : engine.journal.slots.hostApp();
}

export function requireBoot(slot: Pick<SlotRow, "manifest" | "app" | "version">): Boot {
  const boot = bootOf(slot.manifest);
  if (boot !== undefined) return boot;
  throw new HostdError(
    "wrong-product",
    `${slot.app} ${slot.version}: expected a host image, got one that boots nothing`,
  );
}

export function hostPlanOf(context: Context): HostPlan {
  if (context.plan.host !== undefined) return context.plan.host;
  throw new HostdError("journal", `operation ${context.id}: expected a planned upgrade, got none`);
}

/** Every version of the host on this node, newest first, as the ESP sees them. */
export function versionsOf(engine: Engine, app: string, collected: readonly Digest[] = []): Version[] {
  return engine.journal.slots.list(app).flatMap((slot) => {
    const boot = bootOf(slot.manifest);
    if (boot === undefined || collected.includes(slot.image)) return [];
    return [
      { root: boot.root, size: boot.uki.size, proven: slot.last_good_at !== undefined && slot.state !== "failed" },
    ];
  });
}

/** The slot of a root digest. */
export function slotOfRoot(engine: Engine, app: string | undefined, root: string | undefined): SlotRow | undefined {
  if (app === undefined || root === undefined) return undefined;
  return engine.journal.slots.list(app).find((slot) => bootOf(slot.manifest)?.root === root);
}

/** The recovery system that a version brings, where the ESP does not hold it: an earlier one may have stayed. */
export async function newRecovery(engine: Engine, { recovery }: Boot): Promise<BootFile | undefined> {
  if (recovery === undefined || (await hostOf(engine).esp.holds(RECOVERY_ENTRY, recovery.uki))) return undefined;
  return recovery;
}

/** Whether what runs is on trial: then nobody but the trial judges the apps. */
export function isOnTrial(engine: Engine): boolean {
  return engine.host !== undefined && trialRoot(engine) === engine.host.machine.booted;
}

/** Root of the upgrade under way: what it needs is its own business. */
export function trialRoot(engine: Engine): string | undefined {
  for (const { plan } of engine.journal.operations.unfinished()) {
    const host = plan["host"] as HostPlan | undefined;
    if (host !== undefined) return host.root;
  }
  return undefined;
}
