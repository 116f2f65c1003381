import { parseTime } from "../../manifests/duration.ts";
import { HostdError } from "../error.ts";

/** `14d`, `36h`, `30m` as milliseconds; `never` is undefined. `what` was given it is named where it is refused. */
export function parseTtl(text: string, what = "ttl"): number | undefined {
  if (text === "never") return undefined;
  const time = parseTime(text);
  if (time !== undefined) return time;
  throw new HostdError("bad-request", `${what}: expected a time such as 14d, 36h, 30m, or never, got ${text}`);
}
