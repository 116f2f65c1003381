import type { Draft } from "../draft.ts";
import type { Instruction } from "../split.ts";
import { readBoot } from "./boot.ts";
import { readAdd, readCopy } from "./copy.ts";
import { readConfig, readData } from "./data.ts";
import { readHealth, readHealthcheck } from "./health.ts";
import { readHook, readTest } from "./hook.ts";
import { readKind } from "./kind.ts";
import { readLimit } from "./limit.ts";
import { readListen } from "./listen.ts";
import { readCmd, readEntrypoint, readExpose, readShell, readStopSignal, readUser, readWorkdir } from "./process.ts";
import { refuse } from "./refused.ts";
import { readRun } from "./run.ts";
import { readBootstrap, readDeploy, readFrom } from "./section.ts";
import { readSwitch } from "./switch.ts";
import { readArg, readEnv, readLabel, readMaintainer } from "./variables.ts";

export interface InstructionKind {
  read(instruction: Instruction, draft: Draft): void;
  /** May stand above FROM. */
  preamble?: true;
  /** Says something about the image: DEPLOY FROM starts again without it. */
  declares?: true;
  /** Takes heredocs. */
  heredocs?: true;
}

/** Every word that an instruction can start with. */
export const INSTRUCTIONS: ReadonlyMap<string, InstructionKind> = new Map<string, InstructionKind>([
  ["FROM", { read: readFrom, preamble: true }],
  ["BOOTSTRAP", { read: readBootstrap, preamble: true }],
  ["DEPLOY", { read: readDeploy }],
  ["ARG", { read: readArg, preamble: true }],
  ["RUN", { read: readRun, heredocs: true }],
  ["COPY", { read: readCopy, heredocs: true }],
  ["ADD", { read: readAdd, heredocs: true }],
  ["ENV", { read: readEnv }],
  ["WORKDIR", { read: readWorkdir }],
  ["USER", { read: readUser }],
  ["SHELL", { read: readShell }],
  ["LABEL", { read: readLabel, declares: true }],
  ["MAINTAINER", { read: readMaintainer, declares: true }],
  ["ENTRYPOINT", { read: readEntrypoint, declares: true, heredocs: true }],
  ["CMD", { read: readCmd, declares: true, heredocs: true }],
  ["EXPOSE", { read: readExpose, declares: true }],
  ["STOPSIGNAL", { read: readStopSignal, declares: true }],
  ["KIND", { read: readKind, declares: true }],
  ["LISTEN", { read: readListen, declares: true }],
  ["SWITCH", { read: readSwitch, declares: true }],
  ["LIMIT", { read: readLimit, declares: true }],
  ["HEALTH", { read: readHealth, declares: true }],
  ["HEALTHCHECK", { read: readHealthcheck, declares: true, heredocs: true }],
  ["DATA", { read: readData, declares: true }],
  ["CONFIG", { read: readConfig, declares: true }],
  ["BOOT", { read: readBoot, declares: true }],
  ["DRAIN", { read: readHook, declares: true, heredocs: true }],
  ["MIGRATE", { read: readHook, declares: true, heredocs: true }],
  ["READY", { read: readHook, declares: true, heredocs: true }],
  ["REVERTED", { read: readHook, declares: true, heredocs: true }],
  ["QUIESCE", { read: readHook, declares: true, heredocs: true }],
  ["RESUME", { read: readHook, declares: true, heredocs: true }],
  ["TEST", { read: readTest, declares: true, heredocs: true }],
  ["VOLUME", { read: refuse }],
  ["ONBUILD", { read: refuse }],
]);
