import { hash } from "node:crypto";
import { bytes } from "../../terminal/table.ts";
import { FleetError } from "../error.ts";
import type { Session } from "../push/session.ts";
import { ASK, packagesOf, parseFound, refuseMachine, SETTLED, VERSIONS } from "./machine.ts";
import { failed, type Installing, on, told, UNCHANGED } from "./remote.ts";
import { type Sent, send } from "./send.ts";

export interface InstallOptions extends Installing {
  /** Where its updates come from and whom it trusts, said at the first installation; without them only what is there is brought to another version. */
  settings: Settings | undefined;
}

export interface Settings {
  /** A URL, or a directory of the machine that releases are pushed to. */
  repository: string;
  channel: string;
  /** The first root of trust: root.json of TUF. */
  root: string;
}

export interface Installed {
  before: string | undefined;
  after: string;
  changed: boolean;
  sent: Sent;
  /** Debian packages that hostd needs and that were not there. */
  packages: readonly string[];
  /** Options of hostd serve that the machine has and that are others than asked for: they stay. */
  kept?: string;
}

/**
 * Brings a machine to a version of hostd, up or down, over a session to it: sends what it lacks, checks it there, and has
 * a unit that is not hostd put it in place. Where the new one does not come up the one before runs again (`install-failed`).
 * A machine that cannot have it is refused before anything is changed (`not-installable`). Apps run on.
 */
export async function install(session: Session, options: InstallOptions): Promise<Installed> {
  const { bundle, destination, settings } = options;
  const asked = await on(session, options, ["sh", "-c", ASK]).catch((cause: unknown) => {
    throw failed(
      options,
      "could not ask what the machine is",
      cause,
      "a shell of root's is needed there: ssh says why it has none",
    );
  });
  const found = parseFound(asked);
  refuseMachine(found, destination);
  const { current } = found;
  if (settings === undefined && current === undefined) {
    throw new FleetError("not-installable", `${destination}: it has no hostd that was installed from here`, {
      hint: `ostler node add ${destination} --install`,
    });
  }
  const wanted = settings && optionsOf(settings);
  const isSettled = found.settled !== undefined && (current !== undefined || found.settled === "there");
  const kept = wanted !== undefined && isSettled && found.options !== wanted ? { kept: found.options } : {};
  const about = { before: current, after: bundle.id, ...kept };
  if (current === bundle.id && found.isRunning && !found.isUnproven) {
    return { ...about, changed: false, sent: { files: 0, bytes: 0 }, packages: [] };
  }

  const packages = packagesOf(found.missing);
  if (packages.length > 0)
    await told(options, `install ${packages.join(", ")}`, () => addPackages(session, options, packages));
  if (settings !== undefined && !isSettled) await settle(session, options, settings);
  const sent = await send(session, options, found);
  await on(session, options, [`${VERSIONS}/${bundle.id}/hostd`, "--version"]).catch((cause: unknown) => {
    throw failed(options, "does not run there", cause, UNCHANGED);
  });
  await told(options, `start hostd ${bundle.id}`, () => start(session, options));
  return { ...about, changed: true, sent, packages };
}

/** In a line or two for people; `name` is the machine's. */
export function describeInstalled(name: string, { before, after, sent, packages, changed, kept }: Installed): string {
  const own = kept === undefined ? "" : `\n  its own options stay (/etc/hostd/serve.env): ${kept}`;
  if (!changed) return `${name}: hostd ${after} runs already${own}`;
  const from = before === undefined ? "installed" : before === after ? "started again" : `instead of ${before}`;
  const added = packages.length === 0 ? "" : `, and of Debian's packages ${packages.join(", ")}`;
  return `${name}: hostd ${after} runs, ${from}; sent ${bytes(sent.bytes)} in ${sent.files} files${added}${own}`;
}

const ADD = "export DEBIAN_FRONTEND=noninteractive; apt-get -q update && apt-get -q -y install --no-install-recommends";

async function addPackages(session: Session, options: Installing, packages: readonly string[]): Promise<void> {
  await on(session, options, ["sh", "-c", `${ADD} "$@"`, "packages", ...packages]).catch((cause: unknown) => {
    throw failed(
      options,
      `apt-get could not install ${packages.join(", ")}`,
      cause,
      `install ${packages.join(", ")} there by hand`,
    );
  });
}

/** An operator's changes to these files are kept, whatever is installed later. */
const SETTLE = `set -eu
umask 022
mkdir -p /etc/hostd
cat >/etc/hostd/root.json.new
echo "$3  /etc/hostd/root.json.new" | sha256sum --quiet --check
sync /etc/hostd/root.json.new
mv -T /etc/hostd/root.json.new /etc/hostd/root.json
printf '%s\\n' '${SETTLED}' "HOSTD_OPTIONS=$1" >/etc/hostd/serve.env.new
sync /etc/hostd/serve.env.new
mv -T /etc/hostd/serve.env.new /etc/hostd/serve.env
sync /etc/hostd
case $2 in /*) mkdir -p -m 700 /var/lib/hostd; mkdir -p "$2" ;; esac`;

async function settle(session: Session, options: Installing, settings: Settings): Promise<void> {
  const words = ["sh", "-c", SETTLE, "settle", optionsOf(settings), settings.repository, hash("sha256", settings.root)];
  await on(session, options, words, settings.root).catch((cause: unknown) => {
    throw failed(options, "could not be told whom it trusts (/etc/hostd)", cause, UNCHANGED);
  });
}

function optionsOf({ repository, channel }: Settings): string {
  return `--repository ${repository} --root /etc/hostd/root.json --channel ${channel}`;
}

/** In a unit of its own, which does not end with the connection, and of which there is one at a time. */
async function start(session: Session, options: Installing): Promise<void> {
  const { id } = options.bundle;
  const unit = ["systemd-run", "--quiet", "--collect", "--wait", "--pipe", "--unit=hostd-installing"];
  const guarded = ["Restart=on-abnormal", "RestartSec=200ms", "StartLimitIntervalSec=0"].map(
    (one) => `--property=${one}`,
  );
  await on(session, options, [...unit, ...guarded, `${VERSIONS}/${id}/install`, id]).catch((cause: unknown) => {
    const hint = "its journal: journalctl -u hostd -u hostd-installing";
    throw failed(
      options,
      "is not what runs",
      cause,
      hint,
      "it goes on there by itself, and the same command again tells how it ended",
    );
  });
}
