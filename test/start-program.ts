import { spawn } from "node:child_process";

/** A program that a test starts, watches and kills. */
export interface StartedProgram {
  pid: number;
  /** Done when the text has come on its standard output; fails when the program ends before. */
  output(text: string): Promise<void>;
  /** Done when the program is gone. */
  kill(signal: NodeJS.Signals): Promise<void>;
}

/** Starts a program; its own errors go to the test's. */
export function startProgram(program: string, args: readonly string[]): StartedProgram {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const closed = new Promise<void>((resolve) => {
    child.once("close", () => resolve());
  });
  let seen = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    seen += text;
  });
  return {
    pid: child.pid ?? 0,
    output: (text) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (seen.includes(text)) resolve();
        };
        child.stdout.on("data", look);
        closed.then(() => reject(new Error(`${program}: expected ${text}, got an end after ${JSON.stringify(seen)}`)));
        look();
      }),
    async kill(signal) {
      child.kill(signal);
      await closed;
    },
  };
}
