import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { unlessMissing } from "../../effects/errno.ts";
import { run } from "../../effects/process.ts";
import { toFailureDocument } from "../../manifests/failure.ts";
import { openApps } from "./apps.ts";
import { NodeError } from "./failure.ts";
import type { LauncherChoice, NodeSystem } from "./node.ts";
import type { Paths } from "./paths.ts";
import { rememberRunning } from "./remembered.ts";
import { openSystemdApps } from "./systemd/apps.ts";

/** Programs of the node that apps are started with, and what they come from. */
const NEEDED = [
  { program: "bwrap", from: "bubblewrap" },
  { program: "/usr/bin/perl", from: "perl-base" },
  { program: "systemctl", from: "systemd" },
] as const;

/** Milliseconds: a program that does not tell its version by then does not work. */
const TRY_LIMIT = 30_000;

/** What starts apps and holds their sockets: one contract, two ways (docs/operations.md, Launchers). */
export type Launcher = Pick<
  NodeSystem,
  "ensureHolder" | "start" | "stop" | "running" | "limitsInForce" | "removeHolder" | "logs" | "keepsLog"
>;

type LauncherName = Exclude<LauncherChoice, "auto">;

/**
 * Opens the launcher of a run directory. The first choice holds until a reboot or a reset: apps started by one
 * launcher are nothing to the other. Refuses (`other-launcher`) an explicit choice against it.
 */
export async function openLauncher(
  paths: Paths,
  runDirectory: string,
  userOf: (app: string) => Promise<number>,
  choice: LauncherChoice,
): Promise<Launcher & Pick<NodeSystem, "checkLauncher">> {
  const name = await settle(join(runDirectory, "launcher"), choice);
  const open = name === "systemd" ? openSystemdApps : openApps;
  const needed = NEEDED.filter(({ program }) => name === "systemd" || program !== "systemctl");
  return {
    ...rememberRunning(open(paths, runDirectory, userOf)),
    async checkLauncher() {
      await Promise.all(needed.map(tryProgram));
    },
  };
}

/** Run, not looked for: a library that is gone keeps a program from its work too. */
async function tryProgram({ program, from }: (typeof NEEDED)[number]): Promise<void> {
  try {
    await run([program, "--version"], { timeout: TRY_LIMIT });
  } catch (cause) {
    const { message } = toFailureDocument(cause);
    throw new NodeError("launcher-failed", `expected ${program}, which apps are started with, to run: ${message}`, {
      cause,
      hint: `put it back (${from} in Debian); what runs goes on, and no version is at fault`,
    });
  }
}

async function settle(file: string, choice: LauncherChoice): Promise<LauncherName> {
  const settled = (await unlessMissing(readFile(file, "utf8")))?.trim();
  const before = settled === "systemd" || settled === "bubblewrap" ? settled : undefined;
  if (before !== undefined && (choice === "auto" || choice === before)) return before;
  if (before !== undefined) {
    throw new NodeError("other-launcher", `expected launcher ${before}, which apps were started by, got ${choice}`, {
      hint: "reboot, then choose; hostd reset --keep-data lets you choose too, and forgets versions, snapshots, config and secrets",
    });
  }
  const name = choice === "auto" ? await suited() : choice;
  await writeFile(file, `${name}\n`);
  return name;
}

/** systemd where it is PID 1 and started this very daemon; a daemon run by hand leaves the machine's units alone. */
async function suited(): Promise<LauncherName> {
  const isManager = (await unlessMissing(stat("/run/systemd/system"))) !== undefined;
  return isManager && process.env["NOTIFY_SOCKET"] !== undefined ? "systemd" : "bubblewrap";
}
