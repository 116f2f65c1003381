import { mkdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { bootMachine, type Machine } from "../../test/vm/machine.ts";
import { assembleDisk, makeExt4 } from "./disk.ts";
import { noticed } from "./outside.ts";
import { EFI_SIZE, makeBundle, makeKey, makeSlots, type Slots } from "./slots.ts";
import { COMMAND_LINE, type Tree } from "./tree.ts";
import { type Change, HEALTHY, PANIC_UNIT, reboot, START, send, startOf, type Way } from "./way.ts";

const ON_NODE = "/data/bundle";
/** Milliseconds to check and write a whole slot on an emulated machine. */
const INSTALL = 30 * 60_000;
const DATA_SIZE = 3072;

/** RAUC: two slots on one disk, bundles whole and signed, UEFI's BootNext for the trial and its BootOrder for what is good. */
export async function raucWay(directory: string, tree: Tree, sshKey: string): Promise<Way> {
  const disk = join(directory, "rauc.img");
  const work = join(directory, "rauc");
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  await makeKey(work);
  const first = await makeSlots(work, tree, 1, {});
  await makeDisk(work, first, disk);
  const good = await makeBundle(work, await makeSlots(work, tree, 2, {}, first.size), 2);
  const panics = { "etc/systemd/system/panic.service": PANIC_UNIT };
  const bad = await makeBundle(work, await makeSlots(work, tree, 3, panics, first.size), 3);
  await rm(`${disk}.vars`, { force: true });
  await enroll(disk, sshKey, join(work, "vmlinuz"), join(work, "initrd"));
  const machine = await bootMachine({ name: "bench-rauc", disk, sshKey, ownBootOrder: true });
  await machine.waitForSsh(`${HEALTHY} && ${MARKED}`, START);

  const install = async (bundle: string, expected: "other" | "same"): Promise<Change> => {
    const before = await bootedSlot(machine);
    const seen = await noticed(machine, async () => {
      await send(machine, sshKey, bundle, ON_NODE);
      await machine.ssh(`rauc install ${ON_NODE}/update.raucb && rm -r ${ON_NODE}`, { timeout: INSTALL });
      await reboot(machine);
      const slot = `test "$(grep -o 'rauc.slot=.' /proc/cmdline)" ${expected === "same" ? "=" : "!="} ${before}`;
      await machine.waitForSsh(`${slot} && ${HEALTHY} && ${MARKED}`, START);
    });
    return { ...seen, bytes: (await stat(join(bundle, "update.raucb"))).size };
  };
  return {
    name: "RAUC, A/B slots",
    start: () => startOf(machine),
    upgrades: { hostd: () => install(good, "other") },
    revert: () => install(bad, "same"),
    close: async () => void (await machine.powerCut()),
  };
}

/** The unit that marks the slot good has ended well. */
const MARKED =
  'test "$(systemctl show -P Result rauc-good)" = success && systemctl show -P ExecMainExitTimestamp rauc-good | grep -q .';

async function bootedSlot(machine: Machine): Promise<string> {
  return (await machine.ssh("grep -o 'rauc.slot=.' /proc/cmdline")).stdout.trim();
}

async function makeDisk(work: string, { root, efi, size }: Slots, disk: string): Promise<void> {
  const data = join(work, "data.ext4");
  await mkdir(join(work, "data/hostd/repository"), { recursive: true });
  await makeExt4(data, "data", DATA_SIZE, join(work, "data"));
  await assembleDisk(disk, [
    { name: "efi-A", type: "ef00", size: EFI_SIZE, from: efi },
    { name: "efi-B", type: "ef00", size: EFI_SIZE },
    { name: "root-A", type: "8300", size, from: root },
    { name: "root-B", type: "8300", size },
    { name: "data", type: "8300", size: DATA_SIZE, from: data },
  ]);
  await rm(data);
}

/** Started once from outside, the machine tells its firmware of both slots; from then on it starts by itself. */
async function enroll(disk: string, sshKey: string, kernel: string, initrd: string): Promise<void> {
  const words = (name: string) => `root=PARTLABEL=root-${name} rw rauc.slot=${name} ${COMMAND_LINE}`;
  const extra = ["-kernel", kernel, "-initrd", initrd, "-append", words("A")];
  const machine = await bootMachine({ name: "bench-rauc-first", disk, sshKey, ownBootOrder: true, extra });
  try {
    await machine.waitForSsh("true", START);
    for (const [index, name] of ["A", "B"].entries()) {
      const place = `--disk /dev/vda --part ${index + 1} --label ${name} --loader '\\linux.efi'`;
      await machine.ssh(`efibootmgr --quiet --create ${place} --unicode 'initrd=\\initrd.img ${words(name)}'`);
    }
    await machine.ssh(
      `efibootmgr --quiet --bootorder "$(efibootmgr | sed -n 's/^Boot\\(....\\)\\* [AB]\\b.*/\\1/p' | paste -sd ,)"`,
    );
    await machine.shutdown();
  } finally {
    await machine.powerCut();
  }
}
