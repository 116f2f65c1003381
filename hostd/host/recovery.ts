import { RECOVERY_ENTRY } from "../../images/boot/entries.ts";
import { shortDigest } from "../../manifests/digest.ts";
import { toFailureDocument } from "../../manifests/failure.ts";
import { type Context, switchOf } from "../operations/context.ts";
import { hostOf, newRecovery, requireBoot } from "./host.ts";
import { missingOf, refuseWithoutEspRoom } from "./staging.ts";

// The second system of a host image: it follows the version that was proven, and no trial depends on it.

/**
 * Brings the recovery system of the proven version to the ESP: the old one stays until the new one is there, whole and
 * read back. Where that fails the upgrade stands, and says so: the old one mends this node as well as before.
 */
export async function bringRecovery(context: Context): Promise<string> {
  const { engine, app } = context;
  const { esp, files } = hostOf(engine);
  const boot = requireBoot(engine.journal.slots.require(app, switchOf(context).image));
  if (boot.recovery === undefined) return "this version brings none";
  try {
    const recovery = await newRecovery(engine, boot);
    if (recovery === undefined) return "there already";
    if ((await missingOf(engine, recovery.parts)).length > 0) {
      context.note(`${RECOVERY_ENTRY} stays the one of before: the parts of this version's are not here`);
      return "kept as it is";
    }
    refuseWithoutEspRoom({ needed: recovery.uki.size, free: (await esp.read()).free });
    const parts = recovery.parts.map(({ digest }) => files.partPath(digest));
    await esp.install(RECOVERY_ENTRY, parts, recovery.uki);
    return shortDigest(recovery.uki.digest);
  } catch (error) {
    const { message } = toFailureDocument(error);
    context.note(`${RECOVERY_ENTRY} stays the one of before: ${message}`);
    return "kept as it is";
  }
}
