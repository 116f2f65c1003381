import { execFileSync } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { unmount } from "../../hostd/system/mount.ts";
import { ESP, entryName, parseEntryName, RECOVERY_ENTRY } from "../../images/boot/entries.ts";
import { rootDigestOf } from "../../images/boot/roots.ts";
import { openEtc } from "./initrd.ts";

// A machine of plain files, as far as hostd sees one: an ESP, EFI variables, /proc, a loader that chooses as systemd-boot
// does, and programs on PATH that act on them. It starts no kernel: what a root would do is in its UKI. The ESP is an
// ext2, which has as little of a journal as vfat, and which kernels of build machines have; vfat is for test/vm.

/** What a test's UKI says of itself, in its first line. */
export interface UkiText {
  root: string;
  /**
   * How the system comes up: `good`; `panics` leaves a record of the kernel, `fails` a line of the initrd, `silent`
   * nothing before the machine resets.
   */
  how: "good" | "panics" | "fails" | "silent";
  /** Whether its hostd starts where it alone is exchanged. */
  hostd: "starts" | "dies";
}

export interface BootResult {
  root: string;
  /** Entries that were loaded, the last one came up. */
  loaded: string[];
}

export interface Firmware {
  esp: string;
  machine: string;
  /** Powers on: the loader chooses until a system comes up; fails where none does. */
  boot(): BootResult;
  /** The root that the loader's default leads to, with whatever lies on the ESP now; changes nothing. */
  defaultRoot(): string;
  names(): string[];
  conf(): string;
  /** Whether hostd asked for a reboot since the last boot. */
  rebootAsked(): boolean;
  /** Whether it asked for another hostd since the last exchange or boot. */
  exchangeAsked(): boolean;
  /** Exchanges it, once it has ended, as the image's guard does: one that does not come up is gone again, and told. */
  exchange(): void;
  /** Unmounts the ESP as a shutdown does. */
  powerOff(): Promise<void>;
  /** Power is gone: what the ESP's file system did not write is lost. The next boot checks it, as its mount unit does. */
  cutPower(): Promise<void>;
  /** Takes all but so many bytes of the ESP; answers what gives them back. */
  fill(left: number): () => void;
}

const LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/** Starts in a row without a system that comes up; a real one would be stuck. */
const MOST_STARTS = 12;

export function openFirmware(directory: string, state: string): Firmware {
  const machine = join(directory, "machine");
  const esp = join(machine, "efi");
  const efivars = join(machine, "sys/firmware/efi/efivars");
  const once = join(efivars, `LoaderEntryOneShot-${LOADER}`);
  const entries = join(esp, ESP.entries);
  const asked = join(machine, "reboot-asked");
  const exchangeAsked = join(machine, "exchange-asked");
  const mountinfo = join(machine, "proc/self/mountinfo");
  const guard = join(machine, "usr/lib/systemd/system/hostd-exchange.service");
  let image = join(directory, "esp-0.img");
  let cuts = 0;
  for (const place of [
    efivars,
    join(machine, "proc/sys/kernel/random"),
    join(machine, "proc/self"),
    join(machine, "usr/lib/systemd/system"),
    join(machine, "sys/fs/pstore"),
    join(machine, "journal"),
    esp,
  ]) {
    mkdirSync(place, { recursive: true });
  }
  symlinkSync("/proc/uptime", join(machine, "proc/uptime"));
  writeFileSync(guard, "");
  writePrograms(directory, { machine, once });
  execFileSync("truncate", ["--size=40M", image]);
  execFileSync("mkfs.ext2", ["-q", "-m", "0", image]);
  const mount = () => {
    if (existsSync(join(esp, "EFI"))) return;
    // -f: that it was mounted when the power went may not have reached the disk, so it can look clean
    execFileSync("sh", ["-c", 'fsck.ext2 -f -y "$0" >/dev/null 2>&1 || [ $? -le 2 ]', image]);
    execFileSync("mount", ["-o", "loop", image, esp]);
  };
  mount();
  mkdirSync(join(esp, "EFI/BOOT"), { recursive: true });
  mkdirSync(entries);
  writeFileSync(join(esp, ESP.loader), "MZ");
  writeFileSync(join(entries, RECOVERY_ENTRY), "recovery");

  const names = () => entriesOn(esp);
  const conf = () => confOn(esp);

  const load = (name: string) => loadUki(join(entries, name));

  /** What the initrd does: the list by its digest, then a file for each layer of it, then /etc. */
  function initrd({ root, how }: UkiText): string | undefined {
    const list = join(state, "host/roots", root);
    if (!existsSync(list) || rootDigestOf(readFileSync(list, "utf8")) !== root) return "no root list";
    const missing = readFileSync(list, "utf8")
      .split("\n")
      .slice(1, -1)
      .find((line) => !existsSync(join(state, "layers", `${line.split(" ")[0]}.erofs`)));
    if (missing !== undefined) return `no layer ${missing}`;
    if (how === "fails") return "cannot open the root";
    openEtc(state, root);
    return undefined;
  }

  function start(name: string): UkiText | undefined {
    const uki = load(name);
    if (uki === undefined) return undefined; // LoadImage fails; startup.nsh resets
    if (uki.how === "panics") {
      writeFileSync(
        join(machine, `sys/fs/pstore/dmesg-efi-${readdirSync(join(machine, "sys/fs/pstore")).length}`),
        "Kernel panic - not syncing",
      );
      return undefined;
    }
    if (uki.how === "silent") return undefined;
    const problem = initrd(uki);
    if (problem === undefined) return uki;
    appendFileSync(join(state, "host/boot.log"), `${uki.root} initrd: ${problem}\n`);
    return undefined;
  }

  return {
    esp,
    machine,
    names,
    conf,
    rebootAsked: () => existsSync(asked),
    exchangeAsked: () => existsSync(exchangeAsked),
    exchange() {
      rmSync(exchangeAsked);
      const [to = "", back = ""] = readFileSync(join(machine, "run/ostler/exchange"), "utf8").split(" ");
      const dies = names().some((name) => load(name)?.root === to && load(name)?.hostd === "dies");
      const program = (root: string) => join(directory, "run/programs", root, "usr/lib/hostd/version");
      const started = /ostler\.root=(\w+)/.exec(readFileSync(join(machine, "proc/cmdline"), "utf8"))?.[1];
      if (to !== started && !existsSync(program(to))) throw new Error(`the hostd of ${to} is not mounted`);
      if (dies) appendFileSync(join(state, "host/boot.log"), `${to} guard: its hostd ended 3 times\n`);
      const root = dies ? back : to;
      writeFileSync(mountinfo, root === started ? "" : `1 2 0:3 / /usr/lib/hostd ro - overlay ${root} ro\n`);
    },
    defaultRoot: () => defaultRootOn(esp),
    boot() {
      mount();
      for (const gone of [asked, exchangeAsked, mountinfo, join(machine, "run")])
        rmSync(gone, { recursive: true, force: true });
      const loaded: string[] = [];
      for (let starts = 0; starts < MOST_STARTS; starts++) {
        const pattern = existsSync(once)
          ? readFileSync(once).subarray(4).toString("utf16le").replace(/\0$/, "")
          : undefined;
        rmSync(once, { force: true });
        const chosen = choose(names(), conf(), pattern);
        if (chosen === undefined) throw new Error("nothing to boot");
        const name = countStart(entries, chosen);
        loaded.push(name);
        const up = start(name);
        if (up === undefined) continue;
        writeFileSync(join(machine, "proc/cmdline"), `ostler.root=${up.root} panic=1 console=ttyS0\n`);
        const id = randomUUID();
        writeFileSync(join(machine, "proc/sys/kernel/random/boot_id"), `${id}\n`);
        appendFileSync(join(machine, "journal/boots"), `${id.replaceAll("-", "")}\n`);
        writeFileSync(join(machine, "journal", id.replaceAll("-", "")), `journal of ${up.root}\n`);
        return { root: up.root, loaded };
      }
      throw new Error(`no system came up: ${loaded}`);
    },
    powerOff: () => unmount(esp),
    async cutPower() {
      const next = join(directory, `esp-${++cuts}.img`);
      cpSync(image, next);
      await unmount(esp, { lazy: true });
      rmSync(image);
      image = next;
    },
    fill(left) {
      const path = join(esp, "filler");
      const free = Number(execFileSync("df", ["--output=avail", "-B1", esp]).toString().split("\n")[1]);
      writeFileSync(path, Buffer.alloc(Math.max(0, free - left)));
      return () => rmSync(path, { force: true });
    },
  };
}

/** The root that the loader's default leads to, with whatever lies on an ESP now. */
export function defaultRootOn(esp: string): string {
  const [names, conf] = [entriesOn(esp), confOn(esp)];
  const name = choose(names, conf, undefined);
  const root = name === undefined ? undefined : loadUki(join(esp, ESP.entries, name))?.root;
  if (root === undefined) throw new Error(`the default boots nothing: ${name} of ${names}, ${conf}`);
  return root;
}

function entriesOn(esp: string): string[] {
  return readdirSync(join(esp, ESP.entries)).filter((name) => name.endsWith(".efi") && !name.startsWith("."));
}

function confOn(esp: string): string {
  const file = join(esp, ESP.loaderConf);
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

/** Undefined where it is not whole, which no firmware starts. */
function loadUki(file: string): UkiText | undefined {
  const [first = "", ...rest] = readFileSync(file, "utf8").split("\n");
  if (!first.startsWith("{") || rest.at(-2) !== endOf(rest.slice(0, -2))) return undefined;
  return JSON.parse(first) as UkiText;
}

/** What stands at the end of a test's UKI, so that a truncated or mixed one does not load. */
export function endOf(lines: readonly string[]): string {
  return `end ${createHash("sha256").update(lines.join("\n")).digest("hex")}`;
}

/** systemd-boot 252: once what was asked for, else the first that the default's pattern fits, else the first of all. */
function choose(names: readonly string[], conf: string, once: string | undefined): string | undefined {
  const order = [...names].sort((a, b) => rank(a) - rank(b) || (a < b ? 1 : -1));
  const pattern = /^default\s+(\S+)$/m.exec(conf)?.[1];
  const fits = (glob: string | undefined) => order.find((name) => glob !== undefined && matches(glob, name));
  return fits(once) ?? fits(pattern) ?? order[0];
}

/** Exhausted entries come last, recovery behind all that are not. */
function rank(name: string): number {
  if (parseEntryName(name)?.tries?.left === 0) return 2;
  return name === RECOVERY_ENTRY ? 1 : 0;
}

function matches(glob: string, name: string): boolean {
  const pattern = glob.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*");
  return new RegExp(`^${pattern}$`).test(name.toLowerCase());
}

function countStart(entries: string, name: string): string {
  const entry = parseEntryName(name);
  if (entry?.tries === undefined || entry.tries.left === 0) return name;
  const { left, done } = entry.tries;
  const counted = entryName({ ...entry, tries: { left: left - 1, done: done + 1 } });
  renameSync(join(entries, name), join(entries, counted));
  return counted;
}

/** `bootctl`, `systemctl` and `journalctl` as far as hostd calls them on its machine. */
function writePrograms(directory: string, { machine, once }: { machine: string; once: string }): void {
  const bin = join(directory, "bin");
  mkdirSync(bin);
  const programs = {
    bootctl: `[ "$1" = set-oneshot ] || exit 64
[ -n "$2" ] || exec rm '${once}'
{ printf '\\007\\000\\000\\000'; printf '%s\\000' "$2" | iconv -t UTF-16LE; } >'${once}.new' && mv '${once}.new' '${once}'`,
    systemctl: `case "$1" in
reboot) touch '${machine}/reboot-asked' ;;
show) printf 'FirmwareTimestampMonotonic=4000000\\nLoaderTimestampMonotonic=1000000\\nUserspaceTimestampMonotonic=3000000\\nFinishTimestampMonotonic=9000000\\n' ;;
try-reload-or-restart) echo "$2 $(cat '${machine}'/etc/issue.d/host)" >>'${machine}/told'; [ ! -e '${machine}/refuses' ] ;;
start) touch '${machine}/exchange-asked' ;;
is-active) [ ! -e '${machine}/sick' ] && echo active ;;
*) exit 64 ;;
esac`,
    journalctl: `case "$1" in
--list-boots) nl -ba -v-9 '${machine}/journal/boots' | sed 's/$/ Fri 2026-11-27/' | tr '\\t' ' ' ;;
--boot=*) cat "${machine}/journal/\${1#--boot=}" ;;
esac`,
  };
  for (const [name, text] of Object.entries(programs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  }
}
