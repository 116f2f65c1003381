import { channel } from "node:diagnostics_channel";
import { BUNDLED } from "./bundled.ts";

/** Where each named moment of an operation is told to whoever subscribed in this process; the shipped bundle has none. */
const moments = BUNDLED ? undefined : channel("hostd.moment");

/**
 * A named moment at which a test may end, hold or mislead this process. Names are `<kind>.<step>.<before|after>` and
 * `<kind>.<step>.undo.<before|after>`. What happens there is not part of hostd: the tests load it from outside.
 */
export function faultPoint(name: string): void {
  if (moments?.hasSubscribers) moments.publish(name);
}
