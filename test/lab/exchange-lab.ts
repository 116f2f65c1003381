import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, cpSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ESP } from "../../images/boot/entries.ts";
import type { OperationDocument, StatusDocument } from "../../manifests/node.ts";
import { defaultRootOn } from "../hostd/firmware.ts";
import { type HostVersion, layDownFirst, openHostPublisher } from "../hostd/host-publisher.ts";
import { openEtc } from "../hostd/initrd.ts";
import { openPublisher, type Publisher } from "../hostd/publisher.ts";
import { eventually } from "../hostd/rig.ts";
import type { LabNode } from "./start-node.ts";

// A node of the lab as a host whose hostd can be exchanged: the bundle in /usr/lib/hostd, the unit and the guard of
// recipes/host as they are, a real systemd over them. Of the machine, only firmware and kernel are files.

const REPOSITORY = join(import.meta.dirname, "..", "..");
const RECIPE = join(REPOSITORY, "recipes/host");
const MACHINE = "/srv/machine";

/** What stands at the place of hostd's own start script: `@real` is that. */
type Program = "good" | "not executable" | (string & {});

export interface ExchangeLab {
  publisher: Publisher;
  first: HostVersion;
  /** Publishes a version with such a hostd, and stages it. */
  stage(version: string, program?: Program): Promise<HostVersion>;
  hostd(...words: string[]): Promise<unknown>;
  status(): Promise<StatusDocument>;
  /** Begins an operation of the host; answers its number. */
  begin(...words: string[]): Promise<number>;
  /** Follows it to its end, whichever hostd tells it. */
  ended(id: number): Promise<OperationDocument>;
  show(property: string, unit?: string): Promise<string>;
  /** Kills the main process of a unit with -9. */
  kill(unit: string): Promise<unknown>;
  /** How often that hit a unit, as its journal says. */
  kills(unit: string): Promise<number>;
  /** Ends the node at once and boots what the loader finds on the ESP by then: its hostd, its command line. */
  powerCut(): Promise<void>;
}

/** Milliseconds for an exchange and the way back, on a busy machine. */
const LIMIT = 240_000;

export async function openExchangeLab(node: LabNode): Promise<ExchangeLab> {
  const at = (path: string) => join(node.root, path);
  const programs = join(node.root, "../programs");
  const dist = join(programs, "dist");
  execFileSync(process.execPath, [join(REPOSITORY, "bundle.ts"), dist]);
  renameSync(join(dist, "node"), at("usr/bin/node"));
  writeFileSync(join(dist, "version"), "1.0.0");
  const directory = at("srv");
  const publisher = await openPublisher(directory);
  const hosts = await openHostPublisher(publisher.directory, directory);
  makeMachine();
  const places = { repository: publisher.directory, state: at("var/lib/hostd"), esp: at(`${MACHINE}/efi`) };
  const first = await layDownFirst(places, (options) => hosts({ ...options, issue: null, program: dist }));
  openEtc(places.state, first.root);
  installHostd();
  const programOfRoot = new Map([[first.root, dist]]);
  bootTo(first.root);
  await showCommandLine();
  await node.run(["systemctl", "daemon-reload"]);
  await node.run(["systemctl", "enable", "--now", "hostd.service"]);

  /** What the initrd of a root leaves where hostd looks, before anything runs. */
  function bootTo(root: string): void {
    const program = programOfRoot.get(root);
    if (program === undefined) throw new Error(`${root} was never published`);
    rmSync(at("usr/lib/hostd"), { recursive: true, force: true });
    cpSync(program, at("usr/lib/hostd"), { recursive: true });
    writeFileSync(at(`${MACHINE}/proc/cmdline`), `ostler.root=${root}\n`);
  }

  /** The guard reads the kernel's own. */
  function showCommandLine(): Promise<unknown> {
    return node.run(["mount", "--bind", `${MACHINE}/proc/cmdline`, "/proc/cmdline"]);
  }

  function makeMachine(): void {
    for (const place of ["proc/self", "proc/sys/kernel/random", "sys/firmware/efi/efivars", `efi/${ESP.entries}`]) {
      mkdirSync(at(join(MACHINE, place)), { recursive: true });
    }
    mkdirSync(join(at(`${MACHINE}/efi`), ESP.loader, ".."), { recursive: true });
    writeFileSync(join(at(`${MACHINE}/efi`), ESP.loader), "MZ");
    for (const link of ["proc/self/mountinfo", "proc/sys/kernel/random/boot_id", "proc/uptime", "run", "usr"]) {
      symlinkSync(`/${link}`, at(join(MACHINE, link)));
    }
  }

  function installHostd(): void {
    symlinkSync("../lib/hostd/hostd", at("usr/bin/hostd"));
    cpSync(join(RECIPE, "root/usr/lib/ostler"), at("usr/lib/ostler"), { recursive: true });
    const units = "usr/lib/systemd/system";
    copyFileSync(join(RECIPE, `root/${units}/hostd-exchange.service`), at(`${units}/hostd-exchange.service`));
    copyFileSync(join(RECIPE, `deploy/${units}/hostd.service`), at(`${units}/hostd.service`));
    const quick = {
      "hostd.service": "WatchdogSec=15\nRestartSec=0.2",
      "hostd-exchange.service": "Environment=READY_WITHIN=60",
    };
    for (const [unit, text] of Object.entries(quick)) {
      mkdirSync(at(`etc/systemd/system/${unit}.d`), { recursive: true });
      writeFileSync(at(`etc/systemd/system/${unit}.d/quick.conf`), `[Service]\n${text}\n`);
    }
    mkdirSync(at("etc/hostd"));
    copyFileSync(publisher.rootFile, at("etc/hostd/root.json"));
    const options = `--machine ${MACHINE} --repository /srv/repository --root /etc/hostd/root.json --reserve 1`;
    writeFileSync(at("etc/hostd/serve.env"), `HOSTD_OPTIONS=${options}\n`);
  }

  /** A copy of the bundle whose start script is another one. */
  function programOf(version: string, program: Program): string {
    const copy = join(programs, version);
    cpSync(dist, copy, { recursive: true });
    writeFileSync(join(copy, "version"), version);
    if (program === "good") return copy;
    const script = join(copy, "hostd");
    if (program === "not executable") chmodSync(script, 0o644);
    else {
      copyFileSync(script, join(copy, "real"));
      writeFileSync(script, `#!/bin/sh\n[ "$1" = serve ] || exec /usr/lib/hostd/real "$@"\n${program}\n`);
    }
    return copy;
  }

  const hostd = async (...words: string[]) => {
    const { stdout } = await node.run(["sh", "-c", 'hostd "$@" --json || true', "hostd", ...words]);
    return JSON.parse(stdout);
  };
  const lab: ExchangeLab = {
    publisher,
    first,
    async stage(version, program = "good") {
      const made = await hosts({ version, issue: null, program: programOf(version, program) });
      programOfRoot.set(made.root, join(programs, version));
      const staged = await lab.ended(await lab.begin("stage", "host"));
      if (staged.state !== "done") throw new Error(`${version} is not staged: ${staged.reason?.message}`);
      return made;
    },
    hostd,
    status: hostd.bind(undefined, "status"),
    async begin(...words) {
      const begun = await hostd(...words, "--no-wait");
      if (begun.id === undefined) throw new Error(`hostd ${words.join(" ")}: ${JSON.stringify(begun)}`);
      return begun.id;
    },
    ended: (id) =>
      eventually(
        () => hostd("changes", String(id)).catch(() => undefined),
        (operation) => operation?.finished !== undefined,
        LIMIT,
      ),
    show: async (property, unit = "hostd.service") =>
      (await node.run(["systemctl", "show", `--property=${property}`, "--value", unit])).stdout.trim(),
    kill: (unit) => node.run(["systemctl", "kill", "--kill-whom=main", "--signal=KILL", unit]),
    async kills(unit) {
      const { stdout } = await node.run(["journalctl", `--unit=${unit}`, "--output=cat"]);
      return stdout.split("code=killed, status=9/KILL").length - 1;
    },
    async powerCut() {
      await node.powerCut(() => bootTo(defaultRootOn(places.esp)));
      await showCommandLine();
    },
  };
  await eventually(
    () => lab.status().catch(() => undefined),
    (status) => status?.host?.product === "host" && status.apps[0]?.operations.length === 0,
    LIMIT,
  );
  return lab;
}
