import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeDurably } from "../../effects/durable.ts";
import { unlessMissing } from "../../effects/errno.ts";
import type { LayerVerity } from "../../manifests/image.ts";
import { HostdError } from "../error.ts";
import { type Esp, openEsp } from "../system/host/esp.ts";
import { type HostFiles, openHostFiles } from "../system/host/files.ts";
import { openLayers } from "../system/layers.ts";
import type { NodeSystem } from "../system/node.ts";
import { pathsOf } from "../system/paths.ts";

export interface RecoveryPlaces {
  stateDirectory: string;
  runDirectory: string;
  /** Where the ESP is mounted. */
  espDirectory: string;
  /** `/` but in tests: where /proc is. */
  machine: string;
}

/** The disk of a host that does not run: its layers, its root lists and its ESP. */
export interface RecoveryDisk {
  stateDirectory: string;
  layers: Pick<NodeSystem, "layDownLayer" | "scrubLayer">;
  files: HostFiles;
  esp: Esp;
  /** Makes a root what is booted from now on. Cut anywhere, the next start is this root or recovery again. */
  makeDefault(root: string, number: number): Promise<void>;
  /** What hostd adopts at its start once this root runs. */
  writeSeed(documents: Record<"manifest.json" | "config.json" | "release.json", string>): Promise<void>;
}

/** Opens the disk; refuses (`not-recovery`) while the host that lives on it runs. */
export async function openRecoveryDisk(places: RecoveryPlaces): Promise<RecoveryDisk> {
  const cmdline = (await unlessMissing(readFile(join(places.machine, "proc/cmdline"), "utf8"))) ?? "";
  if (/(^|\s)ostler\.root=/.test(cmdline)) {
    throw new HostdError("not-recovery", "this machine runs its host: expected the recovery system", {
      hint: "hostd rollback goes back to a version on this node; `bootctl set-oneshot recovery.efi` and a reboot start recovery",
    });
  }
  const { stateDirectory, espDirectory } = places;
  const esp = openEsp(espDirectory);
  await esp.read(); // nothing is made on a machine that has none
  const { layDownLayer, scrubLayer } = await openLayers(pathsOf(places));
  const files = await openHostFiles(stateDirectory);
  return {
    stateDirectory,
    layers: { layDownLayer, scrubLayer },
    files,
    esp,
    async makeDefault(root, number) {
      // The default first: with `good` first, a cut would boot the broken one, which then is no last-good, for ever.
      await esp.setDefault(number);
      await files.setGood(root);
      await files.setTrial(undefined);
    },
    async writeSeed(documents) {
      const seed = join(stateDirectory, "host/seed");
      await mkdir(seed, { recursive: true, mode: 0o700 });
      for (const [name, text] of Object.entries(documents)) await writeDurably(join(seed, name), text);
    },
  };
}

/** Why a laid-down layer is not what was signed, in words; undefined where every byte is. */
export async function layerProblem(disk: RecoveryDisk, verity: LayerVerity): Promise<string | undefined> {
  try {
    await disk.layers.scrubLayer(verity);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
