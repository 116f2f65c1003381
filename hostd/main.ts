#!/usr/bin/env node
import { enableCompileCache } from "node:module";

enableCompileCache();
const { runProgram } = await import("../terminal/program.ts");
const { PROGRAM } = await import("./program.ts");

process.exitCode = await runProgram(PROGRAM, process.argv.slice(2));
