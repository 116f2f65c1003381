import { spawn } from "node:child_process";
import { LayerError } from "./error.ts";

export interface TarSink {
  /** Done when the pipe has room again. Throws when tar has ended. */
  write(chunks: readonly Buffer[]): Promise<void>;
}

const MESSAGE_LIMIT = 4000;

/** How GNU tar extracts exactly what an archive says, names as they are. The directory holds no symlinks to follow. */
function extractCommand(directory: string): string[] {
  return [
    ...["--extract", "--file=-", `--directory=${directory}`, "--absolute-names"],
    ...["--preserve-permissions", "--same-owner", "--numeric-owner", "--xattrs", "--xattrs-include=*"],
    ...["--delay-directory-restore", "--warning=no-timestamp"],
  ];
}

/** Runs GNU tar, which writes an archive's entries below a directory, while `use` feeds it. Killed when `use` throws. */
export async function withTar(directory: string, use: (tar: TarSink) => Promise<void>): Promise<void> {
  const { TAR_OPTIONS: _, ...environment } = process.env;
  const child = spawn("tar", extractCommand(directory), {
    stdio: ["pipe", "ignore", "pipe"],
    env: { ...environment, LC_ALL: "C" },
  });
  let output = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output = (output + text).slice(0, MESSAGE_LIMIT);
  });
  const ended = new Promise<string | undefined>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (status, signal) => resolve(status === 0 ? undefined : output.trim() || `${signal ?? status}`));
  });
  // Writes fail once tar has ended; how it ended says why.
  child.stdin.on("error", () => {});
  try {
    await use({ write: (chunks) => writeAll(child.stdin, chunks, ended, directory) });
  } catch (error) {
    child.kill("SIGKILL");
    await ended;
    throw error;
  }
  child.stdin.end();
  const failure = await ended;
  if (failure !== undefined) throw unpackError(directory, failure);
}

async function writeAll(
  stdin: NodeJS.WritableStream & { writableNeedDrain: boolean; destroyed: boolean; cork(): void; uncork(): void },
  chunks: readonly Buffer[],
  ended: Promise<string | undefined>,
  directory: string,
): Promise<void> {
  stdin.cork();
  for (const chunk of chunks) if (chunk.length > 0) stdin.write(chunk);
  stdin.uncork();
  if (!stdin.writableNeedDrain && !stdin.destroyed) return;
  const drained = new Promise<"drained">((resolve) => stdin.once("drain", () => resolve("drained")));
  const outcome = stdin.destroyed ? await ended : await Promise.race([drained, ended]);
  if (outcome !== "drained") throw unpackError(directory, outcome ?? "an end before the archive's");
}

function unpackError(directory: string, message: string): LayerError {
  return new LayerError("unpack-target", `${directory}: expected tar to unpack the layer, got ${message}`, {
    hint: "check the free space and the permissions there",
  });
}
