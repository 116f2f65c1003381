import { findEntries, RECOVERY_ENTRY } from "../../../images/boot/entries.ts";
import { type OperationDocument, parseStatus, type StatusDocument } from "../../../manifests/node.ts";
import type { Node, Version } from "../upgrade-lab.ts";

/** What a look at a host shows, in one command: apart from hostd's own words, what lies on its disks. */
export interface Look {
  status: StatusDocument;
  operation: OperationDocument;
  good: string;
  /** Digest and name of each file of EFI/Linux. */
  uki: { digest: string; name: string }[];
  conf: string;
  /** Paths that nobody finished, a trial that is still told to the guard, and a boot that is still asked for. */
  left: string[];
  /** Processes of the app. */
  processes: number;
}

const COMMAND = (operation: number) => `
hostd status --json && echo ==
hostd changes ${operation} --json && echo ==
cat /var/lib/hostd/host/good && echo ==
cd /efi/EFI/Linux && sha256sum * && echo ==
cat /efi/loader/loader.conf && echo ==
cd / && find efi var/lib/hostd -path var/lib/hostd/data -prune -o \\( -name '.*.tmp' -o -name '.*.making' -o -name '.*.gone' \\) -print
find var/lib/hostd/parts var/lib/hostd/host/trial sys/firmware/efi/efivars -type f \\( -path '*/parts/*' -o -name trial -o -name 'LoaderEntryOneShot*' \\)
echo ==
grep -lasP '^/usr/bin/perl\\x00/opt/server' /proc/[0-9]*/cmdline | wc -l`;

export async function lookAt(node: Node, operation: number): Promise<Look> {
  const { stdout } = await node.machine.ssh(COMMAND(operation), { timeout: 300_000 });
  const [status = "", changes = "", good = "", uki = "", conf = "", left = "", processes = ""] = stdout.split("==\n");
  return {
    status: parseStatus(JSON.parse(status)),
    operation: JSON.parse(changes),
    good: good.trim(),
    uki: linesOf(uki).map((line) => ({ digest: `sha256:${line.slice(0, 64)}`, name: line.slice(66) })),
    conf,
    left: linesOf(left),
    processes: Number(processes),
  };
}

/** True once nothing is under way and everything has a verdict. */
export function isAtRest({ status }: Look): boolean {
  return status.apps.every(({ health, operations }) => health === "healthy" && operations.length === 0);
}

/** What the deed must end in: the system that then runs, or one of two while a good one may still be taken back. */
export interface Expected {
  from: Version;
  target: Version;
  ends: "done" | "failed";
  /** A staging changes nothing that runs. */
  stages: boolean;
  /** Versions that this node ever had. */
  versions: readonly Version[];
}

/** What is wrong with a host at rest, in words: nothing, whenever its power was cut. */
export function wrongWithHost(look: Look, { from, target, ends, stages, versions }: Expected): string[] {
  const { status, operation, good, uki, conf, left, processes } = look;
  const { booted, entries = [], recovery } = status.host ?? {};
  const runs = ends === "done" && !stages ? target : from;
  const said = (wrong: boolean, text: string) => (wrong ? [text] : []);
  const proven = status.apps.find(({ app }) => app === "host")?.slots.filter(({ state }) => state === "good") ?? [];
  const trials = status.apps.flatMap(({ slots }) => slots.filter(({ state }) => state === "trial"));
  const current = status.apps.flatMap((app) => (app.current?.state === "good" ? [] : [app.app]));
  const default_ = entries.filter((entry) => entry.default).map(({ root }) => root);
  const quarantined = status.quarantine.some(({ image }) => image === target.image);
  return [
    ...said(operation.state !== ends, `${operation.kind} ended as ${operation.state}: ${operation.reason?.message}`),
    ...said(ends === "failed" && !operation.reverted, "it does not say that it was taken back"),
    ...said(ends === "failed" && operation.reason === undefined, "it does not say why"),
    ...said(ends === "failed" && !quarantined, `${target.version} is not quarantined`),
    ...said(booted?.root !== runs.root || booted.as !== "good", `${JSON.stringify(booted)} runs, not ${runs.version}`),
    ...said(good !== runs.root, `host/good is ${good}`),
    ...said(default_.join() !== runs.root, `the default of the ESP is ${default_}: ${conf}`),
    ...said(recovery !== true || !uki.some(({ name }) => name === RECOVERY_ENTRY), "the ESP has no recovery"),
    ...entries.filter(({ tries }) => tries !== undefined).map(({ name }) => `${name} has tries`),
    ...said(entries.length !== proven.length, `${entries.length} entries for ${proven.length} proven versions`),
    ...wrongEntries(uki, versions),
    ...left.map((path) => `left over: ${path}`),
    ...trials.map(({ version }) => `${version} is still on trial`),
    ...current.map((app) => `the generation of ${app} is not good`),
    ...said(processes !== 1, `${processes} processes of the app`),
  ];
}

/** What the loader would start must be what was signed. */
function wrongEntries(uki: Look["uki"], versions: readonly Version[]): string[] {
  return findEntries(uki.map(({ name }) => name)).flatMap(({ name, root }) => {
    const version = versions.find((one) => one.root.startsWith(root));
    const found = uki.find((one) => one.name === name)?.digest;
    if (version === undefined) return [`${name} is of no version`];
    return found === version.uki ? [] : [`${name}: expected ${version.uki}, found ${found}`];
  });
}

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}
