import { FleetError } from "../error.ts";

// What a machine is before hostd is put on it, and whether it can be.

/** Where the versions of hostd are, one directory each; what runs is a link to one of them. */
export const VERSIONS = "/usr/lib/ostler/hostd";

/** What hostd runs, and the Debian package that has it. `tar`, `gzip` and the like are on every Debian. */
const PROGRAMS: Readonly<Record<string, string>> = {
  bwrap: "bubblewrap",
  perl: "perl-base",
  mount: "mount",
  setpriv: "util-linux",
  nsenter: "util-linux",
  losetup: "mount",
  sha256sum: "coreutils",
  tar: "tar",
  gzip: "gzip",
};

/** First line of the options that an installation wrote, and that an administrator may change. */
export const SETTLED = '# Written once by "ostler node add --install"; yours from then on.';

/** Prints one fact a line. It changes nothing, but for the module of a file system that hostd mounts. */
export const ASK = `
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
echo "user $(id -u)"
echo "machine $(uname -m)"
echo "init $(cat /proc/1/comm)"
grep -q 'ostler\\.root=' /proc/cmdline && echo 'host image'
[ -w /usr/lib ] || echo 'read-only /usr/lib'
{ modprobe erofs 2>/dev/null; grep -qw erofs /proc/filesystems; } || echo 'no erofs'
for program in ${Object.keys(PROGRAMS).join(" ")}; do
  command -v $program >/dev/null || echo "missing $program"
done
command -v apt-get >/dev/null && echo 'has apt-get'
if [ -L /usr/lib/hostd ]; then echo "hostd $(readlink /usr/lib/hostd)"; elif [ -e /usr/lib/hostd ]; then echo 'hostd its-own'; fi
unit=$(systemctl show --property=FragmentPath --value hostd.service 2>/dev/null)
[ -z "$unit" ] || echo "unit $(readlink -f "$unit")"
echo "state $(systemctl is-active hostd.service 2>/dev/null)"
[ ! -e ${VERSIONS}/asked ] || echo 'unproven yes'
case $(systemctl is-active hostd-installing.service 2>/dev/null) in active | activating | deactivating) echo 'busy yes' ;; esac
sed -n 's/^HOSTD_OPTIONS=/options /p' /etc/hostd/serve.env 2>/dev/null
grep -qxF '${SETTLED}' /etc/hostd/serve.env 2>/dev/null && echo 'settled here'
[ ! -e /etc/hostd/serve.env ] || echo 'settled yes'
sed 's/^/sum /' /usr/lib/hostd/SHA256SUMS 2>/dev/null
for version in ${VERSIONS}/*/; do [ -d "$version" ] && echo "version $(basename "$version")"; done
true
`;

export interface Found {
  user: string;
  machine: string;
  init: string;
  isHostImage: boolean;
  isReadOnly: boolean;
  hasErofs: boolean;
  hasApt: boolean;
  missing: readonly string[];
  /** The version of hostd that is in place; undefined where none is that was put there by an installation. */
  current: string | undefined;
  /** A hostd or a unit of it that somebody else put there. */
  other: string | undefined;
  isRunning: boolean;
  /** A trial of a version has not ended. */
  isUnproven: boolean;
  /** Another installation is under way. */
  isBusy: boolean;
  /** Who said already where its updates come from: an installation, or somebody on the machine; undefined where nobody did. */
  settled: "here" | "there" | undefined;
  /** What hostd serve is started with. */
  options: string;
  /** Files of the version in place: SHA-256 -> name. */
  sums: ReadonlyMap<string, string>;
  versions: ReadonlySet<string>;
}

const LINK = /^(?:\/usr\/lib\/)?ostler\/hostd\/([0-9a-f]{16})$/;
const UNIT = /^\/usr\/lib\/ostler\/hostd\/[0-9a-f]{16}\/hostd\.service$/;
const SUM = /^([0-9a-f]{64}) {2}([\w.-]{1,64})$/;

/** From what ASK printed. What it does not understand it leaves out: a machine that says too little is refused. */
export function parseFound(text: string): Found {
  const facts = text.split("\n").map((line) => {
    const end = line.indexOf(" ");
    return { key: line.slice(0, end), value: line.slice(end + 1) };
  });
  const all = (key: string) => facts.filter((fact) => fact.key === key).map(({ value }) => value);
  const one = (key: string) => all(key)[0] ?? "";
  const [link, unit] = [one("hostd"), one("unit")];
  const current = LINK.exec(link)?.[1];
  const foreignUnit = unit !== "" && !UNIT.test(unit) ? unit : undefined;
  return {
    user: one("user"),
    machine: one("machine"),
    init: one("init"),
    isHostImage: one("host") !== "",
    isReadOnly: one("read-only") !== "",
    hasErofs: one("no") !== "erofs",
    hasApt: one("has") !== "",
    missing: all("missing").filter((program) => Object.hasOwn(PROGRAMS, program)),
    current,
    other: link !== "" && current === undefined ? "/usr/lib/hostd" : foreignUnit,
    isRunning: one("state") === "active",
    isUnproven: one("unproven") !== "",
    isBusy: one("busy") !== "",
    settled: one("settled") === "" ? undefined : one("settled") === "here" ? "here" : "there",
    options: one("options"),
    sums: new Map(all("sum").flatMap((line) => sumIn(line))),
    versions: new Set(all("version").filter((name) => /^[0-9a-f]{16}$/.test(name))),
  };
}

function sumIn(line: string): [string, string][] {
  const [, sha256, name] = SUM.exec(line) ?? [];
  return sha256 === undefined || name === undefined ? [] : [[sha256, name]];
}

/** Debian's packages of the programs that are not there. */
export function packagesOf(missing: readonly string[]): string[] {
  return [...new Set(missing.flatMap((program) => PROGRAMS[program] ?? []))].sort();
}

/** What uname(2) calls the machines that run the Node of this one's bundle. */
const MACHINES: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

/** Refuses (`not-installable`) a machine on which hostd cannot be installed so that it keeps itself. */
export function refuseMachine(found: Found, destination: string, architecture: string = process.arch): void {
  if (found.isBusy) {
    throw new FleetError("install-under-way", `${destination}: another installation of hostd is under way`, {
      hint: `ssh ${destination} journalctl -f -u hostd-installing shows it`,
    });
  }
  const problem = problemOf(found, MACHINES[architecture] ?? architecture);
  if (problem === undefined) return;
  const [what, hint] = problem;
  throw new FleetError("not-installable", `${destination}: ${what}; nothing was changed there`, { hint });
}

function problemOf(found: Found, machine: string): [string, string] | undefined {
  if (found.user !== "0") {
    return [
      `expected to come in as root, came in as user ${found.user || "unknown"}`,
      "ostler node add root@..., or a Host of ssh_config",
    ];
  }
  if (found.isHostImage) {
    return [
      "it runs a host image, whose hostd comes with it",
      "ostler push host --activate brings another; ostler node add without --install",
    ];
  }
  if (found.init !== "systemd") {
    return [
      `expected systemd as its process 1, found ${found.init || "nothing"}`,
      "start hostd serve there by what starts its services",
    ];
  }
  if (found.machine !== machine) {
    return [
      `expected a machine of ${machine}, as this one is, found ${found.machine || "nothing"}`,
      "install from a machine of its kind",
    ];
  }
  if (found.other !== undefined) {
    return [
      `${found.other} was put there by somebody else`,
      `to have hostd kept from here, stop it and move that away: systemctl disable --now hostd`,
    ];
  }
  if (found.isReadOnly) return ["/usr/lib cannot be written to", "its image has to bring hostd"];
  if (!found.hasErofs)
    return ["its kernel has no EROFS, which versions are mounted as", "a kernel of Debian 12 or later has it"];
  if (found.missing.length > 0 && !found.hasApt) {
    return [`it lacks ${found.missing.join(", ")}`, `in Debian they come from ${packagesOf(found.missing).join(", ")}`];
  }
  return undefined;
}
