import { appendFile, cp, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { runOstler } from "../../test/run-ostler.ts";
import type { HostHome } from "../../test/vm/host-home.ts";
import { bootMachine } from "../../test/vm/machine.ts";
import { writeSshConfig } from "../../test/vm/ssh-config.ts";
import { noticed } from "./outside.ts";
import { writeTree } from "./tree.ts";
import { type Change, HEALTHY, PANIC_UNIT, START, startOf, type Way } from "./way.ts";

const RECIPE = join(import.meta.dirname, "../../recipes/host");
const UNITS = "deploy/usr/lib/systemd/system";

/** Ours: an image of layers, pushed over SSH, tried once, proven over a new connection. Public commands only. */
export async function ourWay(directory: string, home: HostHome): Promise<Way> {
  const disk = join(directory, "ours.img");
  await home.makeDisk(disk, "node-1");
  await rm(`${disk}.vars`, { force: true });
  const machine = await bootMachine({ name: "bench-ours", disk, sshKey: home.sshKey });
  await machine.waitForSsh(HEALTHY, START);
  const config = await writeSshConfig(directory, machine.sshPort, home.sshKey);
  let version = 1;

  const push = async (files: Readonly<Record<string, string>>, exitCode: number): Promise<Change> => {
    version += 1;
    await release(join(directory, "recipe"), home, version, files);
    let bytes = 0;
    const seen = await noticed(machine, async () => {
      const to = ["--to", "node-1", "--ssh-config", config, "--activate", "--confirm-within", "900"];
      const ended = await runOstler(home.directory, ["push", "host", ...to]);
      if (ended.exitCode !== exitCode) {
        throw new Error(
          `ostler push: expected exit code ${exitCode}, got ${ended.exitCode}\n${ended.stderr}${ended.stdout}`,
        );
      }
      bytes = (ended.json as { sent: { bytes: number } }).sent.bytes;
      await machine.waitForSsh(HEALTHY, START);
    });
    return { ...seen, bytes };
  };
  return {
    name: "ostler",
    start: () => startOf(machine),
    upgrades: { hostd: () => push({}, 0) },
    revert: () =>
      push(
        { [`${UNITS}/panic.service`]: PANIC_UNIT, [`${UNITS}/multi-user.target.wants/panic.service`]: PANIC_UNIT },
        1,
      ),
    close: async () => void (await machine.powerCut()),
  };
}

/** The recipe with one more line in hostd, and `files`: built, and released as if tested. */
async function release(
  recipe: string,
  home: HostHome,
  version: number,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  await rm(recipe, { recursive: true, force: true });
  await mkdir(recipe, { recursive: true });
  await cp(RECIPE, recipe, { recursive: true, verbatimSymlinks: true });
  await appendFile(join(recipe, "dist/hostd.cjs"), `\n// ${version}\n`);
  await writeTree(recipe, files);
  await home.release(join(recipe, "host.recipe"), `${version}.0.0`);
}
