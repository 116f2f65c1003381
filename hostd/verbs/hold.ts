import { parseTime } from "../../manifests/duration.ts";
import { Failure } from "../../manifests/failure.ts";
import type { Verb } from "../../terminal/verb.ts";
import { argument, clientOf, SOCKET_OPTION, text } from "./answer.ts";
import { showApp } from "./show.ts";

/** A date, with a time of day and a zone where they matter (RFC 3339; without a zone it is the time here). */
const DATE = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2})?))?$/;

export const verb: Verb = {
  name: "hold",
  summary: "keep an app at the version it runs: nothing switches it to another, until hostd unhold",
  arguments: [{ name: "<app>", summary: "the app, or the host" }],
  options: [
    SOCKET_OPTION,
    { flags: "--reason <text>", summary: "why, for whoever wants to update it" },
    { flags: "--until <time>", summary: "when it ends by itself: 2027-01-02, 2027-01-02T08:00, or 14d from now" },
  ],
  examples: ['hostd hold shop --until 2027-01-02 --reason "nobody is here over Christmas"'],
  async run(invocation) {
    const reason = text(invocation.options["reason"]);
    if (reason === undefined) {
      throw new Failure("usage", "bad-option", "expected --reason: whoever wants to update it wants to know", {
        hint: "hostd unhold lifts a hold",
      });
    }
    const until = text(invocation.options["until"]);
    const time = until === undefined ? undefined : parseUntil(until, new Date()).toISOString();
    const status = await clientOf(invocation).hold(argument(invocation, 0), reason, time);
    return { json: status, text: showApp(status) };
  },
};

/** When a hold ends: a time, or so long after `now`. A date alone is its first moment here. */
export function parseUntil(given: string, now: Date): Date {
  const after = parseTime(given);
  if (after !== undefined) return new Date(now.getTime() + after);
  const [, year = "", month = "", day = "", clock = "00:00"] = DATE.exec(given) ?? [];
  const time = new Date(`${year}-${month}-${day}T${clock}`);
  const isDay = new Date(Number(year), Number(month) - 1, Number(day)).getDate() === Number(day); // no 30th of February
  if (isDay && !Number.isNaN(time.getTime())) return time;
  throw new Failure("usage", "bad-option", `--until: expected a time, got ${given}`, {
    hint: "2027-01-02, 2027-01-02T08:00, 2027-01-02T08:00Z, or 14d, 36h from now",
  });
}
