#!/usr/bin/env node
import { BUNDLED } from "./bundled.ts";

void main();

async function main(): Promise<void> {
  if (!BUNDLED) (await import("node:module")).enableCompileCache(); // the bundle is one file, loaded by now
  const [{ runProgram }, { PROGRAM }] = await Promise.all([import("../terminal/program.ts"), import("./program.ts")]);
  process.exitCode = await runProgram(PROGRAM, process.argv.slice(2));
}
