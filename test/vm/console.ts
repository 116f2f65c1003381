import { appendFileSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";

/** What a machine wrote on its serial line, over all its boots. */
export interface Console {
  readonly text: string;
  /**
   * Done when the pattern stands behind what the last `waitFor` matched; gives the match. Fails after `ms`, or at once
   * when the machine is gone for good, with the last lines that were written.
   */
  waitFor(pattern: RegExp | string, ms?: number): Promise<RegExpExecArray>;
  /** Passes over what stands there now: the next `waitFor` looks at what comes. */
  skip(): void;
}

export interface ConsoleWriter extends Console {
  write(chunk: Buffer): void;
  /** Nothing more will come, and why. */
  close(reason: string): void;
}

/** Stands before the console's last lines in an error. */
export const CONSOLE_MARK = "--- console";

const LAST_LINES = 60;
const DEFAULT_WAIT = 120_000;

/** A console that also keeps its text in the file `log`. */
export function openConsole(log: string): ConsoleWriter {
  let text = "";
  let seen = 0;
  let closed: string | undefined;
  const watchers = new Set<() => void>();
  const wake = () => {
    for (const watcher of [...watchers]) watcher();
  };
  return {
    get text() {
      return text;
    },
    skip() {
      seen = text.length;
    },
    write(chunk) {
      text += stripVTControlCharacters(chunk.toString("latin1")).replaceAll("\r", "");
      appendFileSync(log, chunk);
      wake();
    },
    close(reason) {
      closed = reason;
      wake();
    },
    waitFor(pattern, ms = DEFAULT_WAIT) {
      const wanted = typeof pattern === "string" ? new RegExp(literally(pattern)) : pattern;
      return new Promise((resolve, reject) => {
        const fail = (why: string) =>
          reject(
            new Error(
              `console: expected ${wanted}, got ${why}; the whole is in ${log}\n${CONSOLE_MARK}\n${tailOf(text)}`,
            ),
          );
        const end = () => {
          clearTimeout(timer);
          watchers.delete(look);
        };
        const look = () => {
          const found = wanted.exec(text.slice(seen));
          if (found === null && closed === undefined) return;
          end();
          if (found === null) return fail(String(closed));
          seen += found.index + found[0].length;
          resolve(found);
        };
        const timer = setTimeout(() => {
          end();
          fail(`nothing like it in ${ms} ms`);
        }, ms);
        watchers.add(look);
        look();
      });
    },
  };
}

/** The last lines, for the message of a test that failed. */
export function tailOf(text: string): string {
  return text.trimEnd().split("\n").slice(-LAST_LINES).join("\n");
}

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
