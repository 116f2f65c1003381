import { setTimeout as delay } from "node:timers/promises";
import type { OperationDocument } from "../../manifests/node.ts";
import { prepareHost, wrongWithHost } from "./host-matrix.ts";
import type { HostVersion } from "./host-publisher.ts";
import { type HostRig, withHost } from "./host-rig.ts";
import { randomFrom } from "./torture.ts";

/** What the host was doing when the power went; the last of them ends in a revert. */
const DEEDS = ["stage", "activate", "deploy", "sick"] as const;

/** Milliseconds in which the power goes, from the beginning of a deed: they all end sooner. */
const SPAN = 6_000;

export interface HostTorture {
  cuts: number;
  seed: number;
  say(text: string): void;
}

/**
 * Cuts the power of a host at random moments, whatever it does then and whichever system runs; what was not on its
 * disks is lost. After each it must boot a proven system, be healthy, and know its state. The seed decides all.
 */
export async function tortureHost({ cuts, seed, say }: HostTorture): Promise<string[]> {
  const random = randomFrom(seed);
  const violations: string[] = [];
  say(`seed ${seed}, ${cuts} power cuts`);
  await withHost(
    async (host) => {
      let good = await prepareHost(host);
      for (let cut = 1; cut <= cuts; cut++) {
        const deed = DEEDS[Math.floor(random() * DEEDS.length)] ?? "activate";
        const after = Math.round(random() * SPAN);
        const target = await begin(host, deed, cut, good);
        await runFor(host, after);
        host.firmware.defaultRoot(); // throws where nothing would boot
        await host.reset({ cut: true });
        const ended = await settle(host);
        if (target !== undefined && deed !== "sick") good = [...good, target];
        const running = (await host.rig.client.status()).host?.booted.root;
        const expected = good.find(({ root }) => root === running);
        const wrong = expected === undefined ? [`${running} runs`] : await wrongWithHost(host, expected);
        const about = `cut ${cut}: ${after} ms into ${deed}: ${ended?.kind} ${ended?.state}`;
        say(wrong.length === 0 ? about : `${about}\n  ${wrong.join("\n  ")}`);
        violations.push(...wrong.map((text) => `${about}: ${text}`));
      }
    },
    { disk: "ext4" },
  );
  return violations;
}

/** Begins the deed and goes on; answers the version that it brings. */
async function begin(host: HostRig, deed: (typeof DEEDS)[number], cut: number, good: readonly HostVersion[]) {
  const { client } = host.rig;
  if (deed === "activate") {
    const { host: system, apps } = await client.status();
    const here = apps.find(({ app }) => app === "host")?.slots.map(({ image }) => image) ?? [];
    const other = good.findLast(({ root, image }) => root !== system?.booted.root && here.includes(image));
    await client.begin("host", "activate", { image: other?.image });
    return undefined;
  }
  const version = `${cut + 10}.0.0`;
  const published = await host.publishHost({ version, ...(deed === "sick" ? { how: "sick" } : {}) });
  await client.begin("host", deed === "stage" ? "stage" : "deploy", {});
  return published;
}

/** Lets the host run for so long, through its own reboots. */
async function runFor(host: HostRig, milliseconds: number): Promise<void> {
  for (const end = Date.now() + milliseconds; Date.now() < end; await delay(20)) {
    if (await host.act()) await host.rig.start();
  }
}

/** The end of whatever was under way. */
async function settle(host: HostRig): Promise<OperationDocument | undefined> {
  const { changes } = await host.rig.client.changes({ app: "host", limit: 1 });
  const [last] = changes;
  return last === undefined ? undefined : await host.finish(last.id);
}
