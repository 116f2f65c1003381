import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { FailureBundle } from "../../manifests/bundle.ts";
import { describeWith } from "../needs.ts";
import { HOST_PROGRAMS } from "./host-home.ts";
import { BROKEN_INIT, type Change, type Node, openLab, type UpgradeLab } from "./upgrade-lab.ts";

const INIT = join(import.meta.dirname, "../../recipes/host/initrd/init");
/** Seconds that a trial gets here, where nothing but the guard can end it. */
const DEADLINE = 100;

/** One way to be no good, and what must be left of it. */
interface Cause {
  title: string;
  change(): Promise<Partial<Change>> | Partial<Change>;
  /** Done on the node once the trial is armed and before it is booted: a moment, so what takes long is done `before`. */
  armed?: string;
  before?: string;
  options?: string;
  code: "trial-failed" | "unhealthy" | "not-confirmed";
  /** Why it was taken back, as the history says it. */
  why: RegExp;
  /** What is in the failure bundle of the boot that failed. */
  left: { journal?: RegExp; records?: RegExp; log?: RegExp };
}

const WATCHDOG =
  'for module in /modules/*-softdog.ko; do insmod "$module" soft_margin=20 soft_panic=1; done; echo 1 >/dev/watchdog';
const DEVICES = "mkdir -p /dev; mount -t devtmpfs devtmpfs /dev";
const unit = (name: string, text: string) => ({ [`usr/lib/systemd/system/${name}`]: text });
const SHORT_DEADLINE = `sed -i 's/ [0-9]*$/ ${DEADLINE}/' /var/lib/hostd/host/trial`;
const SECRET = "what-is-read-much-later-and-then-not-what-was-signed";
/** The layer that was laid down last has what a version is told by. */
const FIND = (offset: string) => `
  layer=$(ls -t /var/lib/hostd/layers/*.erofs | head -n 1)
  echo "$layer ${offset}" >/run/flip`;
const FLIP = `
  read -r layer at </run/flip
  printf '\\377' | dd of="$layer" bs=1 seek="$at" conv=notrunc status=none`;

const CAUSES: Cause[] = [
  {
    title: "a kernel that panics",
    change: () => ({ init: `${BROKEN_INIT}echo c >/proc/sysrq-trigger\n` }),
    code: "trial-failed",
    why: /records of its end/,
    left: { records: /sysrq|Kernel panic/i },
  },
  {
    title: "a kernel that ends before it can say anything",
    change: () => ({ cmdline: "console=ttyS0,115200 mem=48M" }),
    code: "trial-failed",
    why: /4 trials ended without a trace/,
    left: {},
  },
  {
    title: "an initrd that hangs",
    change: () => ({ init: `${BROKEN_INIT}${DEVICES}\nrmmod softdog\n${WATCHDOG}\nwhile :; do :; done\n` }),
    code: "trial-failed",
    why: /records of its end/,
    left: { records: /softdog|watchdog/i },
  },
  {
    title: "an initrd without the driver of the disk",
    change: async () => ({
      init: (await readFile(INIT, "utf8")).replace("HOST=/data", "rm /modules/*-virtio_blk.ko\nHOST=/data"),
    }),
    code: "trial-failed",
    why: /records of its end/,
    left: { records: /expected a partition named ostler-data/ },
  },
  {
    title: "a root whose layer is damaged where the mount reads it",
    change: () => ({ files: { "usr/share/late": SECRET } }),
    before: FIND("1030"),
    armed: FLIP,
    code: "trial-failed",
    why: /records of its end/,
    left: { records: /dm-verity device corrupted/ },
  },
  {
    title: "a root whose layer is damaged where something reads it later",
    change: () => ({
      files: {
        "usr/share/late": `${SECRET} `.repeat(2_000),
        ...unit("late.service", "[Service]\nType=oneshot\nExecStart=/bin/cat /usr/share/late\n"),
        ...unit("multi-user.target.d/late.conf", "[Unit]\nWants=late.service\n"),
      },
    }),
    before: FIND(`$(grep -abom1 ${SECRET} "$layer" | cut -d: -f1)`),
    armed: FLIP,
    code: "trial-failed",
    why: /records of its end/,
    left: { records: /dm-verity device corrupted/ },
  },
  {
    title: "a systemd that never reaches its target",
    change: () => ({
      files: {
        ...unit(
          "for-ever.service",
          "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/bin/sleep infinity\n",
        ),
        ...unit("basic.target.d/for-ever.conf", "[Unit]\nRequires=for-ever.service\nAfter=for-ever.service\n"),
      },
    }),
    armed: SHORT_DEADLINE,
    code: "trial-failed",
    why: /guard: not proven within 100 seconds/,
    left: { log: /guard: not proven/, journal: /for-ever\.service/ },
  },
  {
    title: "a hostd that ends at once, again and again",
    change: () => ({ files: { "usr/lib/hostd/hostd": "#!/bin/sh\necho no good >&2; exit 1\n" } }),
    armed: SHORT_DEADLINE,
    code: "trial-failed",
    why: /guard: not proven within 100 seconds/,
    left: { log: /guard: not proven/, journal: /no good/ },
  },
  {
    title: "an sshd that does not come up",
    change: () => ({ files: { "etc/ssh/sshd_config.d/00-typo.conf": "PermitRootLogni yes\n" } }),
    code: "unhealthy",
    why: /unit ssh\.service/,
    left: { journal: /PermitRootLogni/ },
  },
  {
    title: "a network that cuts the pusher off",
    change: () => ({
      files: { "usr/lib/systemd/network/00-wrong.network": "[Match]\nType=ether\n[Network]\nAddress=192.0.2.1/24\n" },
    }),
    options: "--confirm-within 20",
    code: "not-confirmed",
    why: /nobody confirmed within 20 s/,
    left: { journal: /networkd/ },
  },
  {
    title: "a check of its own that fails",
    change: () => ({ files: { "usr/lib/hostd/checks/required.d/10-no": "#!/bin/sh\necho not today; exit 1\n" } }),
    code: "unhealthy",
    why: /10-no.*not today/s,
    left: { journal: /hostd/ },
  },
  {
    title: "an app that does not come back",
    change: () => ({
      files: {
        "usr/lib/ostler/thief": `use IO::Socket::INET;
my $port = IO::Socket::INET->new(Listen => 1, LocalPort => 8080, ReuseAddr => 1) or die "port: $!";
sleep;`,
        ...unit("thief.service", "[Service]\nExecStart=/usr/bin/perl /usr/lib/ostler/thief\n"),
        ...unit("hostd.service.d/thief.conf", "[Unit]\nWants=thief.service\nAfter=thief.service\n"),
      },
    }),
    code: "unhealthy",
    why: /app shop did not return/,
    left: { journal: /shop|thief/ },
  },
];

describeWith(
  { root: true, programs: HOST_PROGRAMS },
  "a version that is no good is taken back by the host itself",
  () => {
    let lab: UpgradeLab;
    let node: Node;
    let done: () => void;
    let ended: Promise<void>;
    let number = 1;

    beforeAll(async () => {
      lab = await openLab({ prepare: prepareApp });
      node = await new Promise<Node>((resolve, reject) => {
        const use = (one: Node) =>
          new Promise<void>((end) => {
            done = end;
            resolve(one);
          });
        ended = lab.withNode("reverts", use);
        ended.catch(reject);
      });
    });
    afterAll(async () => {
      done?.();
      await ended;
      await lab?.close();
    });

    const nextVersion = () => `${++number}.0.0`;

    test.each(CAUSES)("$title", async ({ change, before: first, armed, options = "", code, why, left }) => {
      const before = (await node.status()).host?.booted.root;
      const bad = await lab.publish({ version: nextVersion(), ...(await change()) });
      expect(await node.stage(bad)).toMatchObject({ state: "done" });
      if (first !== undefined) await node.machine.ssh(first, { timeout: 300_000 });
      if (armed !== undefined) await onceArmed(armed);
      const failed = await node.ended(await node.begin(`activate host ${options}`));
      expect(failed).toMatchObject({ state: "failed", reverted: true, reason: { code } });
      expect(failed.reason?.message).toMatch(why);
      expect(failed.afterwards).toMatchObject({ healthy: true });

      const { host, quarantine, apps } = await node.status();
      expect(host).toMatchObject({ booted: { as: "good", root: before }, recovery: true });
      expect(quarantine).toContainEqual(expect.objectContaining({ image: bad.image }));
      expect(apps.map(({ app, health }) => `${app} ${health}`).sort()).toEqual(["host healthy", "shop healthy"]);

      const { boot } = (await node.hostd(`failure ${failed.id}`)) as FailureBundle;
      expect(boot?.root).toBe(bad.root);
      if (left.journal) expect(boot?.journal).toMatch(left.journal);
      if (left.records) expect(boot?.records).toMatch(left.records);
      if (left.log) expect(boot?.log.join("\n")).toMatch(left.log);
    });

    test("the next good version goes through after all of them", async () => {
      const good = await lab.publish({ version: nextVersion() });
      expect(await node.stage(good)).toMatchObject({ state: "done" });
      expect(await node.ended(await node.begin("activate host"))).toMatchObject({ state: "done" });
      expect((await node.status()).host?.booted).toMatchObject({ as: "good", root: good.root });
    });

    test.each([
      ["the ESP", "/efi/filler"],
      ["the data partition", "/var/filler"],
    ])(
      "a version for which %s has no room is refused before anything is fetched, and is no worse for it",
      async (_, filler) => {
        const last = await lab.publish({ version: nextVersion() });
        expect(await node.stage(last)).toMatchObject({ state: "done" }); // all that retention gives up has gone for it
        const next = await lab.publish({ version: nextVersion() });
        await node.push(next);
        const held = "ls /var/lib/hostd/layers /var/lib/hostd/host/parts /var/lib/hostd/parts /efi/EFI/Linux";
        const listed = async () => (await node.machine.ssh(held)).stdout.split("\n");
        const before = await listed();
        const free = `$(($(df --output=avail -B1 ${filler.replace(/filler$/, "")} | tail -n 1) - 8000000))`;
        const fill = `size=${free}; fallocate -l $size ${filler} || head -c $size /dev/zero >${filler}; sync`;
        await node.machine.ssh(fill, { timeout: 300_000 });
        const refused = [await node.ended(await node.begin("stage host"))];
        const after = await listed();
        refused.push(await node.ended(await node.begin("stage host")));
        const again = await listed();
        await node.machine.ssh(`rm ${filler}; sync`);
        for (const one of refused) expect(one).toMatchObject({ state: "failed", reason: { code: "no-space" } });
        // what retention gives up may be gone, at the first time and no more
        expect(after.filter((line) => !before.includes(line))).toEqual([]);
        expect(again).toEqual(after);
        expect(await node.ended(await node.begin("stage host"))).toMatchObject({ state: "done" });
        expect((await node.status()).quarantine.map(({ image }) => image)).not.toContain(next.image);
      },
    );

    /** Waits on the node itself, since the loader is told of the trial a moment before the reboot. */
    async function onceArmed(command: string): Promise<void> {
      const asked = "/sys/firmware/efi/efivars/LoaderEntryOneShot-*";
      const script = `until ls ${asked} >/dev/null 2>&1; do sleep 0.1; done\n${command}\nsync\n`;
      await node.machine.ssh("cat >/run/armed; setsid sh /run/armed >/run/armed.log 2>&1 </dev/null &", {
        input: script,
      });
    }
  },
);

async function prepareApp(node: Node, lab: UpgradeLab): Promise<void> {
  const app = { version: "1.0.0", port: 8080, within: 120_000, stable: 2_000, interval: 1_000 };
  await node.push(await lab.publishApp(app));
  for (const verb of ["stage", "activate"]) {
    expect(await node.ended(await node.begin(`${verb} shop`))).toMatchObject({ state: "done" });
  }
}
