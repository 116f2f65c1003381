import { mkdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeDurably } from "../../../effects/durable.ts";
import { unlessMissing } from "../../../effects/errno.ts";
import { run } from "../../../effects/process.ts";
import { HostdError } from "../../error.ts";
import { mountAt, parseMountinfo } from "../mountinfo.ts";
import { HOSTD_PLACE } from "../paths.ts";

/** The guard of an exchange: a unit of the image that is no part of hostd (recipes/host). */
const UNIT = "hostd-exchange.service";
const UNIT_FILE = `usr/lib/systemd/system/${UNIT}`;
const REQUEST = "run/ostler/exchange";

/** What the guard is asked for: roots to go to and back to, and until when of its uptime the first must be proven. */
export interface Exchange {
  to: string;
  back: string;
  until: number;
}

/** Exchange of hostd alone, under a system that goes on running. */
export interface Exchanger {
  /** Root digest whose hostd stands in place of the booted one's; undefined where none does. */
  exchanged(): Promise<string | undefined>;
  /** Whether the system that runs has the guard. */
  isGuarded(): Promise<boolean>;
  /** Asks the guard, which then ends this hostd; resolves when it was asked. */
  exchange(asked: Exchange): Promise<void>;
}

/** The exchange on the machine below `root` (`/` but in tests). */
export function openExchanger(root: string): Exchanger {
  return {
    async exchanged() {
      const text = await unlessMissing(readFile(join(root, "proc/self/mountinfo"), "utf8"));
      const source = mountAt(parseMountinfo(text ?? ""), HOSTD_PLACE)?.source;
      return source !== undefined && /^[0-9a-f]{64}$/.test(source) ? source : undefined;
    },
    isGuarded: async () => (await unlessMissing(stat(join(root, UNIT_FILE)))) !== undefined,
    async exchange({ to, back, until }) {
      const request = join(root, REQUEST);
      await mkdir(dirname(request), { recursive: true });
      await writeDurably(request, `${to} ${back} ${Math.floor(until)}\n`);
      try {
        await run(["systemctl", "start", "--no-block", UNIT]);
      } catch (cause) {
        throw new HostdError("exchange-failed", `${UNIT} does not start: ${(cause as Error).message}`, { cause });
      }
    },
  };
}
