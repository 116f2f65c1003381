import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ProcessError, run } from "../../effects/process.ts";
import type { Image } from "../../images/image.ts";
import type { Store } from "../../images/store.ts";
import { digestFromHex } from "../../manifests/digest.ts";
import { checkDocument } from "../../manifests/document.ts";
import { identitySchema } from "../../manifests/identity.ts";
import { verityOf } from "../../manifests/image.ts";
import type { BuildResult } from "../build.ts";
import { keyOf } from "../cache/cache.ts";
import { makeDisk } from "../disk/disk.ts";
import { expectPrograms } from "../programs.ts";
import type { TestDeclaration } from "../recipe/recipe.ts";
import type { SandboxMount } from "../sandbox/command.ts";
import { makeMounts } from "../sandbox/mounts.ts";
import { boundEntries } from "../step/bound.ts";
import { digestOfTest, namesOf, type SuiteResult, type TestOptions } from "../tests.ts";
import { type CiMachine, withCiMachine } from "./machine.ts";

export interface HostTestOptions extends TestOptions {
  store: Store;
  image: Image;
  /** The root.json that the machine's hostd trusts; undefined where the home has none. */
  root: unknown;
  /** File that keeps what the machine wrote on its serial line. */
  consoleLog: string;
}

/** The suite that every host image has: it boots and is well. */
const BOOT_SUITE = "boot";

/** Milliseconds; an emulated machine on a busy one takes minutes. */
const START_LIMIT = 600_000;
const SETTLE_LIMIT = 300_000;

const GiB = 1024 ** 3;
const OUTPUT_LIMIT = 1024 * 1024;

/**
 * Boots a host image in a throw-away machine, from a disk as `ostler disk` makes it, and runs the recipe's TESTs in it.
 * Before them goes a suite of its own: the machine answers over SSH, no unit failed, and the units of HEALTH are active.
 */
export async function runHostTests(built: BuildResult, options: HostTestOptions): Promise<{ suites: SuiteResult[] }> {
  expectPrograms("qemu-system-x86_64", "ssh", "ssh-keygen");
  const { progress, signal, store, image, consoleLog } = options;
  return await built.tree.shop.cache.withWork(async (work) => {
    const [sshKey, disk] = [join(work, "key"), join(work, "disk.img")];
    await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ci", "-f", sshKey]);
    const publicKey = (await readFile(`${sshKey}.pub`, "utf8")).trim();
    const identity = checkDocument(
      {
        schema: 1,
        hostName: "ci",
        authorizedKeys: { root: [publicKey] },
        ...(options.root === undefined ? {} : { root: options.root }),
      },
      identitySchema,
      "identity of the machine under test",
    );
    await makeDisk({
      ...{ store, image: image.descriptor.digest, release: undefined, identity, output: disk, format: "raw" },
      ...{ size: sizeOf(image), espSize: undefined, filesystem: "btrfs", progress, signal },
    });
    const network = built.tests.some((test) => test.network === "default");
    const kvm = process.env["OSTLER_KVM"] === "1";
    return await withCiMachine({ disk, sshKey, consoleLog, network, kvm, signal }, async (machine) => {
      const boot = await timed(BOOT_SUITE, options, () => bootSuite(machine, built));
      if (boot.failed.length > 0) return { suites: [boot] };
      const suites = [boot];
      for (const test of built.tests)
        suites.push(await timed(test.name, options, () => runTest(machine, test, built, options)));
      return { suites };
    });
  });
}

/** Room for this version and one more, which is what the disk's maker asks for. */
function sizeOf({ manifest }: Image): number {
  const layers = manifest.layers.reduce((sum, layer) => sum + verityOf(layer).size, 0);
  return Math.ceil((3 * layers) / GiB + 2) * GiB;
}

type Suite = Omit<SuiteResult, "took">;

async function timed(name: string, { progress }: TestOptions, use: () => Promise<Suite>): Promise<SuiteResult> {
  const started = performance.now();
  const event = { id: `test-${name}`, text: `TEST ${name}` };
  progress({ ...event, state: "started" });
  const suite = await use();
  const took = performance.now() - started;
  progress({ ...event, state: suite.exitCode === 0 ? "done" : "failed", took });
  return { ...suite, took };
}

async function bootSuite(machine: CiMachine, { app }: BuildResult): Promise<Suite> {
  const units = (app?.health ?? []).flatMap((check) => (check.kind === "unit" ? [check.unit] : []));
  const suite = { name: BOOT_SUITE, digest: digestFromHex(keyOf({ suite: BOOT_SUITE, units })), timedOut: false };
  const answer = await machine.waitForSsh(START_LIMIT);
  if (!answer.up) {
    const output = `${answer.reason}\n--- console\n${machine.consoleTail()}`;
    return { ...suite, passed: [], failed: ["it answers over SSH"], exitCode: 1, output };
  }
  const passed = ["it answers over SSH"];
  const failed: string[] = [];
  let output = "";
  const check = async (name: string, ...command: string[]) => {
    const said = await attempt(machine, command, SETTLE_LIMIT);
    (said.exitCode === 0 ? passed : failed).push(name);
    if (said.exitCode !== 0) output += `${name}: ${said.output}\n`;
  };
  await check("no unit failed", "systemctl", "is-system-running", "--wait");
  for (const unit of units) await check(`${unit} is active`, "systemctl", "is-active", unit);
  if (failed.length === 0) return { ...suite, passed, failed, exitCode: 0, output };
  const journal = await attempt(machine, ["journalctl", "-b", "-p", "warning", "--no-pager", "-n", "60"], 60_000);
  const list = await attempt(machine, ["systemctl", "--failed", "--no-legend", "--plain"], 60_000);
  output += `${list.output}\n--- journal\n${journal.output}\n--- console\n${machine.consoleTail()}`;
  return { ...suite, passed, failed, exitCode: 1, output };
}

async function runTest(
  machine: CiMachine,
  test: TestDeclaration,
  built: BuildResult,
  options: HostTestOptions,
): Promise<Suite> {
  const { epoch } = built.tree;
  const shop = { ...built.tree.shop, signal: options.signal };
  const digest = await digestOfTest(test, shop, epoch);
  return await shop.cache.withWork(async (work) => {
    const made = await makeMounts(test.mounts, {
      cacheMounts: join(work, "caches"),
      work,
      secrets: shop.secrets,
      bound: (mount) => boundEntries(mount, shop, epoch),
    });
    const mounts = await sendMounts(machine, test.name, made.mounts, work);
    const started = Date.now();
    const command = testCommand(test, { ...test.env, ...made.env }, mounts);
    let output = "";
    const end = await attempt(machine, command, test.timeout + 30_000, (text) => {
      output = (output + text).slice(-OUTPUT_LIMIT);
      options.progress({ id: `test-${test.name}`, text, state: "output" });
    });
    const timedOut = end.exitCode !== 0 && Date.now() - started >= test.timeout;
    return {
      name: test.name,
      digest,
      ...namesOf(test, end.exitCode, output),
      exitCode: end.exitCode,
      timedOut,
      output,
    };
  });
}

/** Puts what a TEST mounts into the machine; gives the mounts with their sources there. */
async function sendMounts(
  machine: CiMachine,
  test: string,
  mounts: readonly SandboxMount[],
  work: string,
): Promise<SandboxMount[]> {
  const sent: SandboxMount[] = [];
  for (const [index, mount] of mounts.entries()) {
    if (mount.kind === "tmpfs") {
      sent.push(mount);
      continue;
    }
    const directory = `/run/ostler-ci/${test}-${index}`;
    const tar = join(work, `send-${index}.tar`);
    await mkdir(work, { recursive: true });
    await run(["tar", "-cf", tar, "-C", join(mount.source, ".."), mount.source.split("/").at(-1) ?? "."]);
    await machine.ssh(["mkdir", "-p", directory]);
    await machine.ssh(["tar", "-xpf", "-", "-C", directory], { input: await readFile(tar), timeout: 300_000 });
    sent.push({ ...mount, source: `${directory}/${mount.source.split("/").at(-1)}` });
  }
  return sent;
}

/** A TEST as a transient unit of the machine: its own mounts, user and time limit. Pure. */
export function testCommand(
  test: Pick<TestDeclaration, "command" | "workdir" | "user" | "timeout">,
  env: Readonly<Record<string, string>>,
  mounts: readonly SandboxMount[],
): string[] {
  const [user = "", group = ""] = (test.user ?? "").split(":");
  const properties = [
    `RuntimeMaxSec=${Math.ceil(test.timeout / 1000)}`,
    `WorkingDirectory=${test.workdir}`,
    ...(user === "" ? [] : [`User=${user}`]),
    ...(group === "" ? [] : [`Group=${group}`]),
    ...mounts.map((mount) => {
      if (mount.kind === "tmpfs") return `TemporaryFileSystem=${mount.target}`;
      return `${mount.readonly ? "BindReadOnlyPaths" : "BindPaths"}=${mount.source}:${mount.target}`;
    }),
  ];
  return [
    ...["systemd-run", "--quiet", "--wait", "--pipe", "--collect"],
    ...properties.flatMap((property) => ["-p", property]),
    ...Object.entries(env).flatMap(([name, value]) => ["-E", `${name}=${value}`]),
    "--",
    ...test.command,
  ];
}

/** How a command in the machine ended; anything but its exit is thrown. */
async function attempt(
  machine: CiMachine,
  command: readonly string[],
  timeout: number,
  onOutput?: (text: string) => void,
): Promise<{ exitCode: number; output: string }> {
  try {
    const { stdout, stderr } = await machine.ssh(command, { timeout, ...(onOutput === undefined ? {} : { onOutput }) });
    return { exitCode: 0, output: `${stdout}${stderr}`.trim() };
  } catch (error) {
    if (!(error instanceof ProcessError) || error.code !== "process-failed") throw error;
    return { exitCode: error.exitCode ?? 1, output: error.output };
  }
}
