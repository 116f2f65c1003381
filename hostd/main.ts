#!/usr/bin/env node
import { BUNDLED } from "./bundled.ts";

void main();

async function main(): Promise<void> {
  if (!BUNDLED) await cacheCode(); // the bundle is one file, loaded by now
  const [{ runProgram }, { PROGRAM }] = await Promise.all([import("../terminal/program.ts"), import("./program.ts")]);
  process.exitCode = await runProgram(PROGRAM, process.argv.slice(2));
}

/** Beside the sources: the default below /tmp is anybody's to make, and what lies there is run. */
async function cacheCode(): Promise<void> {
  const [{ enableCompileCache }, { fileURLToPath }] = await Promise.all([import("node:module"), import("node:url")]);
  enableCompileCache(fileURLToPath(new URL("../.ostler/compile-cache", import.meta.url)));
}
