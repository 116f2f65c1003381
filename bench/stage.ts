import { join } from "node:path";
import { run } from "../effects/process.ts";
import { loadImage } from "../images/image.ts";
import { openStore } from "../images/store.ts";
import { table } from "../terminal/table.ts";
import type { Bundle } from "./bundle.ts";
import { prepareInput, VERSIONS, type Version } from "./input.ts";
import { diskUsed, type Measure, measure, median, withTarget } from "./measure.ts";
import { floorOf, type Peer, peersOf } from "./peers.ts";

interface Round {
  v1: Measure;
  v2: Measure;
}

interface Seen {
  peer: Peer;
  rounds: Round[];
  /** MB on the disk with one version, and with all; measured once, since they do not vary. */
  disk?: [number, number];
}

/** Stages a Debian desktop, then its next version, by every peer in turn, or by those of `which`; tells how it stands after each. */
export async function benchStage(
  directory: string,
  { ours }: Bundle,
  rounds: number,
  which: readonly string[],
): Promise<string> {
  const input = await prepareInput(directory);
  const floor: Seen = { peer: floorOf(input, await blobsOf(input.zstd)), rounds: [] };
  const peers: Seen[] = chosen(peersOf(input, ours), which).map((peer) => ({ peer, rounds: [] }));
  for (let round = 1; round <= rounds; round++) {
    for (const seen of [floor, ...peers]) {
      console.error(`bench: round ${round} of ${rounds}: ${seen.peer.name}`);
      await playRound(seen, directory).catch((error: Error) => console.error(`bench: ${error.message}`));
      console.error(shown(floor, peers));
    }
  }
  return shown(floor, peers);
}

/** Those whose name begins with one of these words; all where there is none. */
function chosen(peers: readonly Peer[], which: readonly string[]): readonly Peer[] {
  return which.length === 0 ? peers : peers.filter(({ name }) => which.some((word) => name.split(" ")[0] === word));
}

async function playRound(seen: Seen, directory: string): Promise<void> {
  const { peer } = seen;
  await run(["sh", "-c", `find ${peer.input} -type f -exec cat {} + | tail -c1 >/dev/null; sync -f ${directory}`]);
  await withTarget(directory, peer.leave, async (target) => {
    const v1 = await measure(peer.stage("v1", target), target);
    const first = await diskUsed(target);
    const v2 = await measure(peer.stage("v2", target), target);
    seen.rounds.push({ v1, v2 });
    if (seen.disk !== undefined) return;
    for (const version of VERSIONS.slice(2)) await measure(peer.stage(version, target), target);
    seen.disk = [first, await diskUsed(target)];
  });
}

const HEAD = ["", "v1 s", "x floor", "x ours", "cpu s", "RSS MB", "written MB"];
const HEAD_NEXT = ["v2 s", "v2 cpu s", "v2 written MB", "disk v1 MB", `v1-v${VERSIONS.length} MB`];

function shown(floor: Seen, peers: readonly Seen[]): string {
  const wallOf = ({ rounds }: Seen) => middle(rounds, ({ v1 }) => v1.wall);
  const [ours] = peers;
  const base = { floor: wallOf(floor), ours: ours === undefined ? Number.NaN : wallOf(ours) };
  return table(
    [...HEAD, ...HEAD_NEXT],
    [floor, ...peers].map((seen) => row(seen, base)),
  );
}

function row({ peer, rounds, disk }: Seen, base: { floor: number; ours: number }): string[] {
  if (rounds.length === 0) return [peer.name, "failed"];
  const wall = middle(rounds, ({ v1 }) => v1.wall);
  return [
    peer.name,
    wall.toFixed(1),
    (wall / base.floor).toFixed(2),
    (wall / base.ours).toFixed(2),
    middle(rounds, ({ v1 }) => v1.cpu).toFixed(1),
    middle(rounds, ({ v1, v2 }) => Math.max(v1.rss, v2.rss)).toFixed(0),
    middle(rounds, ({ v1 }) => v1.written).toFixed(0),
    middle(rounds, ({ v2 }) => v2.wall).toFixed(1),
    middle(rounds, ({ v2 }) => v2.cpu).toFixed(1),
    middle(rounds, ({ v2 }) => v2.written).toFixed(0),
    ...(disk ?? []).map(String),
  ];
}

function middle(rounds: readonly Round[], of: (round: Round) => number): number {
  return median(rounds.map(of));
}

/** The last layer's blob of each version: what is new in it. */
async function blobsOf(repository: string): Promise<Record<Version, string>> {
  const store = await openStore(join(repository, "oci"));
  const last = async (version: Version) => {
    const layer = (await loadImage(store, version)).manifest.layers.at(-1);
    if (layer === undefined) throw new RangeError(`${repository}: expected layers in ${version}`);
    return [version, store.pathOf(layer.digest)] as const;
  };
  return Object.fromEntries(await Promise.all(VERSIONS.map(last))) as Record<Version, string>;
}
