import { channel } from "node:diagnostics_channel";

/** Where each named moment of an operation is told to whoever subscribed in this process; in a shipped hostd nobody does. */
const moments = channel("hostd.moment");

/**
 * A named moment at which a test may end, hold or mislead this process. Names are `<kind>.<step>.<before|after>` and
 * `<kind>.<step>.undo.<before|after>`. What happens there is not part of hostd: the tests load it from outside.
 */
export function faultPoint(name: string): void {
  if (moments.hasSubscribers) moments.publish(name);
}
