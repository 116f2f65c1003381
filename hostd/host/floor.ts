import { join } from "node:path";
import { openHeldTrust } from "../../keys/trust.ts";
import { shortDigest } from "../../manifests/digest.ts";
import { Failure } from "../../manifests/failure.ts";
import type { Policy } from "../../manifests/policy.ts";
import { HostdError } from "../error.ts";
import type { SlotRow } from "../journal/slots.ts";
import type { Context } from "../operations/context.ts";

/**
 * Refuses a version that the signed policy held by this node has since put below its floor, or revoked. Going back to
 * any other version that is here is no downgrade. Who breaks the glass says why, and the history keeps it.
 */
export async function refuseBelowFloor(context: Context, slot: SlotRow, breakGlass: string | undefined): Promise<void> {
  const { engine, app, id } = context;
  const policy = await heldPolicy(join(engine.stateDirectory, "trust"));
  const problem = policy === undefined ? undefined : problemOf(policy, slot);
  if (problem === undefined) return;
  if (breakGlass === undefined) {
    throw new HostdError("below-floor", `${app} ${slot.version}: ${problem}`, {
      hint: `hostd activate ${app} ${shortDigest(slot.image)} --break-glass REASON goes there all the same`,
      details: { image: slot.image, sequence: slot.sequence },
    });
  }
  engine.journal.events.append("host.glass-broken", {
    app,
    operation: id,
    detail: { image: slot.image, problem, reason: breakGlass, by: engine.journal.operations.get(id)?.caller },
  });
  context.note(`broke the glass: ${problem}; ${breakGlass}`);
}

/** What the policy says against a version; undefined where it says nothing. */
export function problemOf(
  policy: Policy,
  slot: Pick<SlotRow, "app" | "channel" | "image" | "sequence">,
): string | undefined {
  const revoked = policy.revoked.find(({ digest }) => digest === slot.image);
  if (revoked !== undefined) return `revoked: ${revoked.reason}`;
  const floor = policy.channels[slot.channel]?.floors[slot.app] ?? 0;
  return slot.sequence < floor
    ? `sequence ${slot.sequence} is below the floor ${floor} of channel ${slot.channel}`
    : undefined;
}

/** A node that never verified anything holds no policy, and then nothing to go against. */
async function heldPolicy(directory: string): Promise<Policy | undefined> {
  try {
    return (await openHeldTrust(directory)).policy;
  } catch (error) {
    if (error instanceof Failure && error.code === "metadata-missing") return undefined;
    throw error;
  }
}
