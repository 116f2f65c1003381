import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "../../../builder/ci/ssh.ts";
import { table } from "../../../terminal/table.ts";
import { randomFrom } from "../../hostd/torture.ts";
import { BROKEN_INIT, type Change, type Node, openLab, type UpgradeLab, type Version } from "../upgrade-lab.ts";
import { type Deed, MOMENT_NAMES, MOMENTS, momentIn, reach } from "./moments.ts";
import { type Writer, writeRecords, wrongRecords } from "./records.ts";
import { isAtRest, type Look, lookAt, wrongWithHost } from "./whole.ts";

/** Milliseconds for one moment to begin or end, and for a host to be at rest after a cut: all its boots, on a busy machine. */
const LIMIT = 1_800_000;
const APP_PORT = 8080;
const FILE_SYSTEM_ERROR = /^.*(?:BTRFS (?:error|critical)|FAT-fs \(\w+\): error).*$/m;
const KEPT = join(import.meta.dirname, "../../../.ostler/vm");

/** Units that no upgrade waits for, and that an emulated processor spends long on. */
const MASKED = [
  ...["systemd-timesyncd.service", "systemd-resolved.service", "systemd-networkd-wait-online.service"],
  ...["lvm2-monitor.service", "modprobe@drm.service", "modprobe@fuse.service", "modprobe@configfs.service"],
  ...["dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount"],
];

/** What every version has: hostd's journal on the console too, by which the moments are told, and a quicker start. */
const FILES = {
  "usr/lib/systemd/system/hostd.service.d/console.conf":
    "[Service]\nStandardOutput=journal+console\nStandardError=journal+console\n",
  ...Object.fromEntries(MASKED.map((name) => [`usr/lib/systemd/system/${name}`, ""])),
};
const KINDS: Record<Deed, Partial<Change>> = {
  stage: {},
  upgrade: {},
  sick: { files: { "usr/lib/hostd/checks/required.d/10-no": "#!/bin/sh\necho no; exit 1\n" } },
  panic: { init: `${BROKEN_INIT}echo c >/proc/sysrq-trigger\n` },
};

export interface PowerCuts {
  cuts: number;
  seed: number;
  say(text: string): void;
}

interface Cut {
  /** What the deed had come to. */
  moment: ReturnType<typeof momentIn>;
  /** What the loader started first: `old`, `new`, or the root of neither. */
  came: string;
  ended: string;
  /** Blocks of those that were not flushed. */
  lost: string;
  /** Milliseconds from the power until hostd was ready, and until the operation had its end and all was healthy. */
  ready: number;
  end: number;
  wrong: string[];
}

/**
 * Cuts the power of a real machine (firmware, loader, kernel and disk with a write cache, all emulated) in the middle of
 * everything an upgrade goes through. After each cut nobody does anything but switch it on: it must come up, go on to the
 * end of what it was doing, and have everything that its app acknowledged outside. The seed decides moments and losses.
 */
export async function cutPower({ cuts, seed, say }: PowerCuts): Promise<string[]> {
  const random = randomFrom(seed);
  const port = await freePort();
  const made: Cut[] = [];
  say(`seed ${seed}, ${cuts} power cuts; making the machine`);
  const versions: Version[] = [];
  const lab = await openLab({ prepare: async (node, all) => void versions.push(all.first, await prepare(node, all)) });
  try {
    for (let number = 1; made.length < cuts; number++) {
      const options = { random, forward: [{ port, to: APP_PORT }] };
      const began = performance.now();
      const use = async (node: Node) => {
        const start = performance.now() - began;
        const rest = await settle(node, await newest(node));
        const life: Life = { lab, node, port, random, writer: writeRecords(port), versions, rest, start };
        while (made.length < cuts) {
          const cut = await cutOnce(life);
          made.push(cut);
          say(lineOf(made.length, cut));
          if (cut.wrong.length > 0) break;
        }
        await life.writer.stop();
        say(`${life.writer.acknowledged} records acknowledged`);
        if (made.at(-1)?.wrong.length !== 0) await keep(node, made.length, say);
      };
      await lab.withNode(`cuts-${number}`, use, options);
    }
  } finally {
    await lab.close();
  }
  const violations = made.flatMap(({ wrong }, index) => wrong.map((text) => `cut ${index + 1}: ${text}`));
  say(tableOf(made));
  say(violations.length === 0 ? "no violation" : `${violations.length} violations:\n${violations.join("\n")}`);
  return violations;
}

/** The app runs, and the version that the disk was laid down with makes way for one that writes to the console. */
async function prepare(node: Node, lab: UpgradeLab): Promise<Version> {
  const app = { version: "1.0.0", port: APP_PORT, address: "0.0.0.0", within: 120_000, stable: 2_000, interval: 1_000 };
  await node.push(await lab.publishApp(app));
  for (const verb of ["stage", "activate"]) await mustBe("done", node, await node.begin(`${verb} shop`));
  const version = await lab.publish({ version: "1.0.0", files: FILES });
  await node.push(version);
  for (const verb of ["stage", "activate"]) await mustBe("done", node, await node.begin(`${verb} host`));
  return version;
}

async function mustBe(state: string, node: Node, id: number): Promise<void> {
  const operation = await node.ended(id, LIMIT);
  if (operation.state !== state) throw new Error(`expected ${state}: ${JSON.stringify(operation.reason)}`);
}

/** One node from its first power-on until something is wrong with it. */
interface Life {
  lab: UpgradeLab;
  node: Node;
  port: number;
  random: () => number;
  writer: Writer;
  /** Every version that there ever was. */
  versions: Version[];
  /** How it was before the deed that comes. */
  rest: Look;
  /** Milliseconds of the last start, from power to hostd. */
  start: number;
}

/** Chooses what to ask for; a new version is put on the node's disk before. */
async function chooseDeed({ lab, node, rest, versions, random }: Life, deed: Deed) {
  const from = versions.find(({ root }) => root === rest.status.host?.booted.root);
  if (from === undefined) throw new Error(`expected a version of ours, got ${rest.status.host?.booted.root}`);
  const kept = rest.status.apps.find(({ app }) => app === "host")?.slots.filter(({ state }) => state === "good") ?? [];
  const others = versions.filter(({ image }) => image !== from.image && kept.some((slot) => slot.image === image));
  const chosen = others[Math.floor(random() * 2 * others.length)]; // as often a new one
  if (deed === "upgrade" && chosen !== undefined && chosen !== lab.first) {
    return { words: `activate host ${chosen.image}`, from, target: chosen };
  }
  const { files, ...change } = KINDS[deed];
  const version = `${versions.length + 1}.0.0`;
  const target = await lab.publish({ version, ...change, files: { ...FILES, ...files } });
  versions.push(target);
  await node.push(target);
  if (deed === "stage") return { words: "stage host", from, target };
  await mustBe("done", node, await node.begin("stage host"));
  return { words: "activate host", from, target };
}

async function cutOnce(life: Life): Promise<Cut> {
  const { node, random, versions, writer, port, start } = life;
  const { console } = node.machine;
  const name = MOMENT_NAMES[Math.floor(random() * MOMENT_NAMES.length)] ?? "gates";
  const part = random();
  const { deed } = MOMENTS[name];
  const cut: Cut = { moment: "begin", came: "none", ended: "nothing", lost: "", ready: 0, end: 0, wrong: [] };
  try {
    const { words, from, target } = await chooseDeed(life, deed);
    const before = await newest(node);
    console.skip();
    const began = console.text.length;
    const power = { on: true };
    const begun = ask(node, words, before, power);
    await reach(console, { name, part, start }, LIMIT);
    power.on = false;
    const { unflushed = 0, lost = 0 } = (await node.machine.powerCut()) ?? {};
    const started = performance.now();
    cut.moment = momentIn(console.text.slice(began), deed);
    cut.lost = `${lost} of ${unflushed}`;
    const seen = console.text.length;
    console.skip();
    node.machine.powerOn();
    const [, root = ""] = await console.waitFor(/ostler: booting root ([0-9a-f]{64})/, LIMIT);
    cut.came = root === from.root ? "old" : root === target.root ? "new" : root;
    await console.waitFor(/"message":"ready"/, LIMIT);
    cut.ready = performance.now() - started;
    const id = (await begun) ?? (await newest(node));
    const look = await settle(node, id);
    cut.end = performance.now() - started;
    life.rest = look;
    life.start = cut.ready;
    const records = await wrongRecords(port, writer.acknowledged);
    if (id === before) return { ...cut, ended: "never begun", wrong: records };
    cut.ended = [look.operation.state, ...look.operation.notes.filter((note) => /armed again/.test(note))].join("; ");
    const ends = deed === "sick" || deed === "panic" ? "failed" : "done";
    cut.wrong = [
      ...(cut.came === root ? [`${root} was booted`] : []),
      ...wrongWithHost(look, { from, target, ends, stages: deed === "stage", versions }),
      ...records,
      ...(FILE_SYSTEM_ERROR.exec(console.text.slice(seen)) ?? []),
    ];
  } catch (error) {
    cut.wrong = [(error as Error).message.split("\n").slice(0, 3).join(" ")];
  }
  return cut;
}

/** Begins an operation, and again where a busy machine did not answer in time; undefined where the cut was there first. */
async function ask(node: Node, words: string, before: number, power: { on: boolean }): Promise<number | undefined> {
  while (power.on) {
    const id = await node.begin(words).catch(() => newest(node).catch(() => before));
    if (id !== before) return id;
    await delay(5_000);
  }
  return undefined;
}

/** Number of the newest operation. */
async function newest(node: Node): Promise<number> {
  const { changes } = (await node.hostd("changes host --limit 1")) as { changes: { id: number }[] };
  return changes[0]?.id ?? 0;
}

/** Looks at the host once the operation has its end and nothing is under way any more. */
async function settle(node: Node, id: number): Promise<Look> {
  const { console } = node.machine;
  const ended = new RegExp(`"operation is (?:done|failed)","operation":${id},`);
  for (const until = Date.now() + LIMIT; ; await delay(5_000)) {
    if (!ended.test(console.text)) await console.waitFor(ended, 60_000).catch(() => {});
    const look = await lookAt(node, id).catch(() => undefined); // it is on its way
    if (look?.operation.finished !== undefined && isAtRest(look)) return look;
    if (Date.now() < until) continue;
    throw new Error(`not at rest ${LIMIT} ms after the cut: ${JSON.stringify(look?.operation ?? "no answer")}`);
  }
}

/** Keeps what something is wrong with: the disk, and beside it the firmware's variables. The console is there already. */
async function keep({ machine }: Node, number: number, say: (text: string) => void): Promise<void> {
  await machine.powerCut();
  const kept = join(KEPT, `cut-${number}.img`);
  await machine.snapshotDisk(kept);
  say(`  kept: ${kept}`);
}

function lineOf(number: number, { moment, lost, came, ended, ready, end, wrong }: Cut): string {
  const times = `ready after ${seconds(ready)} s, at rest after ${seconds(end)} s`;
  const line = `cut ${number}: in ${moment}; ${lost} unflushed blocks lost; came up ${came}; ${ended}; ${times}`;
  return [line, ...wrong.map((text) => `  WRONG: ${text}`)].join("\n");
}

function tableOf(cuts: readonly Cut[]): string {
  const rows = (["begin", ...MOMENT_NAMES, "end"] as const).map((name) => {
    const these = cuts.filter(({ moment }) => moment === name);
    const mean = (of: (cut: Cut) => number) =>
      seconds(these.reduce((sum, cut) => sum + of(cut), 0) / these.length || 0);
    const count = (is: (cut: Cut) => boolean) => String(these.filter(is).length);
    return [
      ...[name, String(these.length), count(({ came }) => came === "old"), count(({ came }) => came === "new")],
      ...[count(({ ended }) => ended.startsWith("done")), count(({ ended }) => ended.startsWith("failed"))],
      ...[mean(({ ready }) => ready), mean(({ end }) => end), count(({ wrong }) => wrong.length > 0)],
    ];
  });
  const head = ["power went in", "cuts", "came up old", "new", "ended done", "failed", "s to hostd", "s to rest"];
  return table([...head, "wrong"], rows);
}

function seconds(milliseconds: number): string {
  return String(Math.round(milliseconds / 100) / 10);
}
