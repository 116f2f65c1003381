import { join } from "node:path";
import { loadImage } from "../images/image.ts";
import { openStore } from "../images/store.ts";
import { table } from "../terminal/table.ts";
import { prepareInput } from "./input.ts";
import { diskUsed, type Measure, measure, median, withTarget } from "./measure.ts";
import { type Peer, peersOf } from "./peers.ts";

interface Round {
  v1: Measure;
  v2: Measure;
  /** MB after the first version, and after both. */
  disk: [number, number];
}

/** Stages a Debian desktop, then its next version, by every peer in turn; tells how it stands after every round. */
export async function benchStage(directory: string, rounds: number): Promise<string> {
  const input = await prepareInput(directory);
  const peers = peersOf(input, await blobsOf(input.zstd), process.execPath);
  const seen = new Map<string, Round[]>(peers.map(({ name }) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const peer of peers) {
      console.error(`bench: round ${round} of ${rounds}: ${peer.name}`);
      const measured = await once(peer, directory).catch(
        (error: Error) => void console.error(`bench: ${error.message}`),
      );
      if (measured !== undefined) seen.get(peer.name)?.push(measured);
    }
    console.error(shown(peers, seen));
  }
  return shown(peers, seen);
}

function shown(peers: readonly Peer[], seen: ReadonlyMap<string, Round[]>): string {
  const floor = middle(seen.get(peers[0]?.name ?? "") ?? [], ({ v1 }) => v1.wall);
  return table(
    HEAD,
    peers.map(({ name }) => row(name, seen.get(name) ?? [], floor)),
  );
}

const HEAD = [
  "",
  "v1 s",
  "x floor",
  "cpu s",
  "RSS MB",
  "written MB",
  "v2 s",
  "v2 written MB",
  "disk v1 MB",
  "v1+v2 MB",
];

async function once(peer: Peer, directory: string): Promise<Round> {
  return await withTarget(directory, peer.leave, async (target) => {
    const v1 = await measure(peer.stage("v1", target), target);
    const first = await diskUsed(target);
    const v2 = await measure(peer.stage("v2", target), target);
    return { v1, v2, disk: [first, await diskUsed(target)] };
  });
}

function row(name: string, rounds: readonly Round[], floor: number): string[] {
  if (rounds.length === 0) return [name, "failed"];
  const wall = middle(rounds, ({ v1 }) => v1.wall);
  const figures = [
    wall.toFixed(1),
    (wall / floor).toFixed(2),
    middle(rounds, ({ v1 }) => v1.cpu).toFixed(1),
    middle(rounds, ({ v1, v2 }) => Math.max(v1.rss, v2.rss)).toFixed(0),
    middle(rounds, ({ v1 }) => v1.written).toFixed(0),
    middle(rounds, ({ v2 }) => v2.wall).toFixed(1),
    middle(rounds, ({ v2 }) => v2.written).toFixed(0),
    middle(rounds, ({ disk }) => disk[0]).toFixed(0),
    middle(rounds, ({ disk }) => disk[1]).toFixed(0),
  ];
  return [name, ...figures];
}

function middle(rounds: readonly Round[], of: (round: Round) => number): number {
  return median(rounds.map(of));
}

/** The last layer's blob of each version: what is new in it. */
async function blobsOf(repository: string): Promise<Record<"v1" | "v2", string>> {
  const store = await openStore(join(repository, "oci"));
  const last = async (tag: string) => {
    const layer = (await loadImage(store, tag)).manifest.layers.at(-1);
    if (layer === undefined) throw new RangeError(`${repository}: expected layers in ${tag}`);
    return store.pathOf(layer.digest);
  };
  return { v1: await last("v1"), v2: await last("v2") };
}
