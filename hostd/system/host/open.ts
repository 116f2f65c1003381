import { join } from "node:path";
import { type CompareLayers, openCompare } from "./compare.ts";
import { type Esp, openEsp } from "./esp.ts";
import { type HostEtc, openHostEtc } from "./etc.ts";
import { type BootEvidence, openEvidence } from "./evidence.ts";
import { type HostFiles, openHostFiles } from "./files.ts";
import { type Looks, openLooks } from "./looks.ts";
import { type Machine, openMachine } from "./machine.ts";

/** Everything that upgrading the running system does to the machine. It decides nothing; hostd/host does. */
export interface HostSystem {
  readonly machine: Machine;
  readonly esp: Esp;
  readonly files: HostFiles;
  readonly etc: HostEtc;
  readonly evidence: BootEvidence;
  readonly compareLayers: CompareLayers;
  readonly looks: Looks;
}

/** The host below `root`, where /proc, /sys and the ESP (/efi) are; undefined where no host image runs. */
export async function openHost(options: {
  root: string;
  stateDirectory: string;
  runDirectory: string;
}): Promise<HostSystem | undefined> {
  const machine = await openMachine(options.root);
  if (machine === undefined) return undefined;
  const looks = openLooks(options.runDirectory);
  return {
    machine,
    looks,
    esp: openEsp(join(options.root, "efi")),
    files: await openHostFiles(options.stateDirectory),
    etc: openHostEtc(options.stateDirectory, options.root, looks),
    evidence: openEvidence(options.root),
    compareLayers: openCompare(options.stateDirectory, looks),
  };
}
