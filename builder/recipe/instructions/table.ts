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
  /** Says something about the image, or how a node runs it: DEPLOY FROM starts again without it. */
  declares?: "image" | "app";
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
  ["LABEL", { read: readLabel, declares: "image" }],
  ["MAINTAINER", { read: readMaintainer, declares: "image" }],
  ["ENTRYPOINT", { read: readEntrypoint, declares: "image", heredocs: true }],
  ["CMD", { read: readCmd, declares: "image", heredocs: true }],
  ["EXPOSE", { read: readExpose, declares: "image" }],
  ["STOPSIGNAL", { read: readStopSignal, declares: "image" }],
  ["KIND", { read: readKind, declares: "app" }],
  ["LISTEN", { read: readListen, declares: "app" }],
  ["SWITCH", { read: readSwitch, declares: "app" }],
  ["LIMIT", { read: readLimit, declares: "app" }],
  ["HEALTH", { read: readHealth, declares: "app" }],
  ["HEALTHCHECK", { read: readHealthcheck, declares: "app", heredocs: true }],
  ["DATA", { read: readData, declares: "app" }],
  ["CONFIG", { read: readConfig, declares: "app" }],
  ["BOOT", { read: readBoot, declares: "image" }],
  ["DRAIN", { read: readHook, declares: "app", heredocs: true }],
  ["MIGRATE", { read: readHook, declares: "app", heredocs: true }],
  ["READY", { read: readHook, declares: "app", heredocs: true }],
  ["REVERTED", { read: readHook, declares: "app", heredocs: true }],
  ["QUIESCE", { read: readHook, declares: "app", heredocs: true }],
  ["RESUME", { read: readHook, declares: "app", heredocs: true }],
  ["TEST", { read: readTest, declares: "image", heredocs: true }],
  ["VOLUME", { read: refuse }],
  ["ONBUILD", { read: refuse }],
]);
