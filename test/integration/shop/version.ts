import { spawn } from "node:child_process";
import { cpSync, symlinkSync } from "node:fs";
import { basename, join, sep } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const SHOP = join(ROOT, "recipes/shop");

export type Overlay = "2-totals" | "3-red" | "4-sick";

/** Copies a version of the shop, with the overlays laid over it in order, to a new directory; dependencies are ours. */
export function copyVersion(directory: string, overlays: readonly Overlay[] = []): string {
  cpSync(SHOP, directory, { recursive: true, filter: (path) => !isLeftOut(path) });
  for (const overlay of overlays) cpSync(join(SHOP, "next", overlay), directory, { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(directory, "node_modules"));
  return directory;
}

/** The command that starts a program of a version with the Node of the tests. */
export function commandOf(directory: string, program: "server.mjs" | "migrate.mjs"): string[] {
  return [process.execPath, join(directory, "src", program)];
}

/** Runs a version's own tests: names of those that failed, and how many passed. */
export async function runOwnTests(directory: string): Promise<{ failed: string[]; passed: number }> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const args = ["--test", "--test-reporter=tap", join(directory, "test/*.test.mjs")];
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  const report = await text(child.stdout);
  const failed = [...report.matchAll(/^ *not ok \d+ - (.*)$/gm)].map(([, title]) => title ?? "");
  return { failed, passed: Number(/^# pass (\d+)$/m.exec(report)?.[1] ?? 0) };
}

function isLeftOut(path: string): boolean {
  return path.startsWith(join(SHOP, "next") + sep) || ["next", "node_modules"].includes(basename(path));
}
