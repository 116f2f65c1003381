import type { Digest } from "../../manifests/digest.ts";
import { HostdError } from "../error.ts";
import type { Context } from "./context.ts";

/** Operations of an app that are looked through for what came after this one. */
const LOOKED_AT = 50;

/**
 * What was said after an operation began, while it fetched for hours: that the app stays at its version, or is stopped.
 * Whoever said that had the last word.
 */
export function refuseOvertaken({ engine, app, id }: Context, image: Digest): void {
  const { apps, operations, generations, updateHolds } = engine.journal;
  const { current, hold } = apps.get(app) ?? {};
  const runs = current === undefined ? undefined : generations.get(app, current)?.image;
  if (image !== runs) updateHolds.refuse(app);
  const isLater = operations.list({ app, limit: LOOKED_AT }).some((one) => one.kind === "halt" && one.id > id);
  if (hold === undefined || !isLater) return;
  throw new HostdError("held", `${app} was stopped meanwhile: ${hold}`, {
    hint: `hostd activate ${app} switches to what was brought, and starts it`,
  });
}
