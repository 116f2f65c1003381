import { subscribe } from "node:diagnostics_channel";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";

// Loaded into a hostd under test (node --import): does at a named moment what the file `armed` asks for.

/** `kill`: SIGKILL. `pause`: tells `reached`, then stands still until `go` is there. `clock`: the wall clock jumps. */
const armedSchema = z.object({
  point: z.string(),
  action: z.enum(["kill", "pause", "clock"]),
  /** Milliseconds that the clock jumps; from the next armed moment on it is right again. */
  shift: z.number().optional(),
});

export type Armed = z.infer<typeof armedSchema>;

/** A test that failed does not leave a daemon that stands still, milliseconds. */
const PAUSE_LIMIT = 60_000;

const directory = process.env["HOSTD_FAULTS"];
const RealDate = Date;
const still = new Int32Array(new SharedArrayBuffer(4));

if (directory !== undefined) subscribe("hostd.moment", (name) => reach(directory, String(name)));

function reach(place: string, name: string): void {
  const file = join(place, "armed");
  if (!existsSync(file)) return;
  const armed = armedSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  if (armed.point !== name) return;
  rmSync(file);
  shiftClock(armed.shift ?? 0);
  if (armed.action === "kill") process.kill(process.pid, "SIGKILL");
  writeFileSync(join(place, "reached"), name);
  if (armed.action === "clock") return;
  const end = RealDate.now() + PAUSE_LIMIT;
  while (!existsSync(join(place, "go")) && RealDate.now() < end) Atomics.wait(still, 0, 0, 2);
  rmSync(join(place, "go"), { force: true });
}

function shiftClock(shift: number): void {
  globalThis.Date = class extends RealDate {
    constructor(...given: ConstructorParameters<typeof RealDate> | []) {
      if (given.length === 0) super(RealDate.now() + shift);
      else super(...given);
    }
    static override now(): number {
      return RealDate.now() + shift;
    }
  } as DateConstructor;
}
