import { hash } from "node:crypto";
import { stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ProcessError, run } from "../../effects/process.ts";
import { withTemporaryDirectory } from "../../effects/temporary.ts";
import type { Progress } from "../../terminal/progress.ts";
import { bytes } from "../../terminal/table.ts";
import { FleetError } from "../error.ts";
import type { Session } from "../push/session.ts";
import { type Bundle, type BundleFile, sumsOf } from "./bundle.ts";
import { ASK, type Found, packagesOf, parseFound, refuseMachine, SETTLED, VERSIONS } from "./machine.ts";

export interface InstallOptions {
  /** As ssh knows the machine; for messages. */
  destination: string;
  bundle: Bundle;
  /** Where its updates come from and whom it trusts, said at the first installation; without them only what is there is brought to another version. */
  settings: Settings | undefined;
  progress: Progress;
  signal: AbortSignal;
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
  /** Compressed, as they crossed the connection; files that the machine had already are not among them. */
  sent: { files: number; bytes: number };
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

const UNCHANGED = "nothing that runs was changed";

/** In a line or two for people; `name` is the machine's. */
export function describeInstalled(name: string, { before, after, sent, packages, changed, kept }: Installed): string {
  const own = kept === undefined ? "" : `\n  its own options stay (/etc/hostd/serve.env): ${kept}`;
  if (!changed) return `${name}: hostd ${after} runs already${own}`;
  const from = before === undefined ? "installed" : before === after ? "started again" : `instead of ${before}`;
  const added = packages.length === 0 ? "" : `, and of Debian's packages ${packages.join(", ")}`;
  return `${name}: hostd ${after} runs, ${from}; sent ${bytes(sent.bytes)} in ${sent.files} files${added}${own}`;
}

const ADD = "export DEBIAN_FRONTEND=noninteractive; apt-get -q update && apt-get -q -y install --no-install-recommends";

async function addPackages(session: Session, options: InstallOptions, packages: readonly string[]): Promise<void> {
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

async function settle(session: Session, options: InstallOptions, settings: Settings): Promise<void> {
  const words = ["sh", "-c", SETTLE, "settle", optionsOf(settings), settings.repository, hash("sha256", settings.root)];
  await on(session, options, words, settings.root).catch((cause: unknown) => {
    throw failed(options, "could not be told whom it trusts (/etc/hostd)", cause, UNCHANGED);
  });
}

function optionsOf({ repository, channel }: Settings): string {
  return `--repository ${repository} --root /etc/hostd/root.json --channel ${channel}`;
}

/** A version is there whole, as it was sent, or not at all. */
const TAKE = `set -eu
umask 022
versions=${VERSIONS} id=$1 from=$2 sums=$3
shift 3
new=$versions/.$id.new
rm -rf "$new"
mkdir -p "$new"
tar --extract --gzip --no-same-owner --directory "$new"
for name; do ln "$versions/$from/$name" "$new/$name"; done
cd "$new"
printf %s "$sums" >SHA256SUMS
sha256sum --quiet --check SHA256SUMS
sync --file-system .
cd /
old=$versions/.$id.old
rm -rf "$old"
[ ! -e "$versions/$id" ] || mv -T "$versions/$id" "$old"
mv -T "$new" "$versions/$id"
sync "$versions"
rm -rf "$old"`;

const IS_WHOLE = `cd ${VERSIONS}/"$1" && sha256sum --quiet --check SHA256SUMS`;

async function send(session: Session, options: InstallOptions, found: Found): Promise<Installed["sent"]> {
  const { bundle } = options;
  const whole = () =>
    on(session, options, ["sh", "-c", IS_WHOLE, "check", bundle.id]).then(
      () => true,
      () => false,
    );
  if (found.versions.has(bundle.id) && (await whole())) return { files: 0, bytes: 0 };
  const has = ({ sha256, name }: BundleFile) => bundle.id !== found.current && found.sums.get(sha256) === name;
  const reused = bundle.files.filter(has);
  try {
    return await sendBeside(session, options, found.current ?? "", reused);
  } catch (error) {
    if (reused.length === 0 || !(error instanceof FleetError)) throw error;
    return await sendBeside(session, options, "", []); // what is there is not what it was recorded as
  }
}

/** Sends a version but for the files that another one has. */
async function sendBeside(
  session: Session,
  options: InstallOptions,
  from: string,
  reused: readonly BundleFile[],
): Promise<Installed["sent"]> {
  const { bundle, signal } = options;
  const lacking = bundle.files.filter((file) => !reused.includes(file));
  return await withTemporaryDirectory(tmpdir(), async (work) => {
    const [packed, list] = [join(work, "hostd.tar.gz"), join(work, "names")];
    await writeFile(list, lacking.map(({ name }) => `./${name}\n`).join(""));
    const tar = ["tar", "--create", "--gzip", `--file=${packed}`, `--directory=${bundle.directory}`];
    await run([...tar, "--owner=0", "--group=0", "--mode=u+w,go-w,a+rX", `--files-from=${list}`], { signal });
    const { size } = await stat(packed);
    const names = reused.map(({ name }) => name);
    const take = ["sh", "-c", TAKE, "take", bundle.id, from, sumsOf(bundle.files), ...names];
    await told(options, `send hostd ${bundle.id}: ${bytes(size)}`, async () => {
      const whereFrom = ["sh", "-c", 'exec "$@" <"$0"', packed];
      await run([...whereFrom, ...session.command(take)], { signal }).catch((cause: unknown) => {
        throw failed(options, "could not be sent", cause, UNCHANGED);
      });
    });
    return { files: lacking.length, bytes: size };
  });
}

/** In a unit of its own, which does not end with the connection, and of which there is one at a time. */
async function start(session: Session, options: InstallOptions): Promise<void> {
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

async function on(session: Session, { signal }: InstallOptions, command: readonly string[], input?: string) {
  const ended = await run(session.command(command), { signal, ...(input === undefined ? {} : { input }) });
  return ended.stdout;
}

/** In the words of what failed there, not of the command that was sent. `goesOn`: what is so where the connection ended. */
function failed(
  { destination, bundle }: InstallOptions,
  what: string,
  cause: unknown,
  hint: string,
  goesOn: string = UNCHANGED,
): unknown {
  if (!(cause instanceof ProcessError)) return cause;
  const isLost = cause.exitCode === 255;
  const said = cause.output.trim().replace(/^error: /, "");
  const message = `${destination}: hostd ${bundle.id}: ${isLost ? "the connection ended" : what}`;
  return new FleetError("install-failed", said === "" ? message : `${message}\n${said}`, {
    cause,
    hint: isLost ? goesOn : hint,
  });
}

async function told(options: InstallOptions, text: string, work: () => Promise<void>): Promise<void> {
  const started = Date.now();
  const event = { id: `install ${text}`, text: `${options.destination}: ${text}` };
  options.progress({ ...event, state: "started" });
  try {
    await work();
  } catch (error) {
    options.progress({ ...event, state: "failed" });
    throw error;
  }
  options.progress({ ...event, state: "done", took: Date.now() - started });
}
