import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("holder.pl", import.meta.url));

/** A process that keeps a listening socket and runs one program on it at a time (holder.pl). */
export interface SocketHolder {
  port: number;
  /** Stops what runs, by SIGTERM, and starts the command; no command only stops. Returns how the old one ended. */
  replace(command?: readonly string[]): Promise<string>;
  /** What the programs have written. */
  log(): string;
}

/** Runs `use` with a holder whose programs get `environment`, then stops the holder and what it runs. */
export async function withHolder(
  environment: Record<string, string>,
  use: (holder: SocketHolder) => Promise<void>,
): Promise<void> {
  const child = spawn("perl", [PROGRAM], { env: environment, stdio: "pipe" });
  try {
    await use(await speakWith(child));
  } finally {
    const ended = child.exitCode === null ? once(child, "close") : undefined;
    child.stdin.end();
    await ended;
  }
}

async function speakWith({ stdin, stdout, stderr }: ChildProcessWithoutNullStreams): Promise<SocketHolder> {
  let written = "";
  stderr.setEncoding("utf8").on("data", (text: string) => {
    written += text;
  });
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  const nextLine = async (): Promise<string> => String((await lines.next()).value);
  return {
    port: Number(await nextLine()),
    log: () => written,
    async replace(command = []) {
      stdin.write(`${command.join(" ")}\n`);
      return await nextLine();
    },
  };
}
