import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Machine } from "../../test/vm/machine.ts";

/** Milliseconds between two questions, and for one answer. */
const PAUSE = 250;
const ANSWER = 2_000;

/** What somebody outside noticed of a change of the machine. Seconds. */
export interface Noticed {
  total: number;
  /** The longest time in which its sshd did not answer. */
  silent: number;
  /** From its first reset to the end; undefined where it had none. */
  sinceReset: number | undefined;
}

/** Does something to a machine, and asks its sshd for its greeting all the while. `work` ends when the machine is well. */
export async function noticed(machine: Machine, work: () => Promise<unknown>): Promise<Noticed> {
  const [started, before] = [Date.now(), machine.resets];
  let [silent, answered, over]: [number, number, boolean] = [0, started, false];
  let reset: number | undefined;
  const watching = (async () => {
    for (; !over; await delay(PAUSE)) {
      if (reset === undefined && machine.resets > before) reset = Date.now();
      if (!(await greets(machine.sshPort))) continue;
      silent = Math.max(silent, Date.now() - answered);
      answered = Date.now();
    }
  })();
  try {
    await work();
  } finally {
    over = true;
    await watching;
  }
  const ended = Date.now();
  const seconds = (from: number) => (ended - from) / 1_000;
  return {
    total: seconds(started),
    silent: silent / 1_000,
    sinceReset: reset === undefined ? undefined : seconds(reset),
  };
}

/** QEMU takes a connection whether or not somebody in the machine will: only the greeting tells. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const end = (greeted: boolean) => {
      socket.destroy();
      resolve(greeted);
    };
    socket.setTimeout(ANSWER, () => end(false));
    socket.once("data", (bytes) => end(bytes.toString().startsWith("SSH-")));
    socket.once("error", () => end(false));
    socket.once("close", () => end(false));
  });
}
