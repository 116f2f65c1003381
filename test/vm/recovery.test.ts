import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run } from "../../effects/process.ts";
import { describeWith } from "../needs.ts";
import { HOST_PROGRAMS, openHostHome } from "./host-home.ts";
import { withMachine } from "./machine.ts";

// One machine and one story, since each start costs a minute here.

describeWith({ root: true, programs: HOST_PROGRAMS }, "a host's disk", () => {
  test("starts as the node it was made for, keeps that, and comes back from the loss of all its layers with its data", async () => {
    const host = await openHostHome();
    const directory = await mkdtemp(join(tmpdir(), "ostler-vm-recovery-"));
    try {
      const disk = join(directory, "disk.img");
      await host.makeDisk(disk, "node-1");
      await withMachine({ name: "recovery", disk, sshKey: host.sshKey }, async (machine) => {
        const say = async (command: string) => (await machine.ssh(command, { timeout: 600_000 })).stdout.trim();
        const identity =
          "cat /etc/hostname /etc/machine-id /var/lib/hostd/host/identity/etc/ssh/ssh_host_ed25519_key.pub; date +%Z";

        await machine.waitForSsh("hostd status", 600_000);
        expect(await say("hostname")).toBe("node-1");
        const before = await say(identity);
        expect(before).toMatch(/^node-1\n[0-9a-f]{32}\nssh-ed25519 .*\nCES?T$/s);
        const drift = await say("hostd status --json");
        expect(JSON.parse(drift)).toMatchObject({
          host: { product: "host", booted: { as: "good" }, recovery: true, drift: [] },
        });
        await say("mkdir -p /var/lib/hostd/data/shop && echo 17 orders >/var/lib/hostd/data/shop/orders && sync");
        await machine.shutdown();

        machine.powerOn();
        await machine.waitForSsh("hostd status", 600_000);
        expect(await say(identity)).toBe(before);
        await say("rm -r /var/lib/hostd/layers /var/lib/hostd/host/roots && sync");
        await machine.powerCut();

        machine.powerOn();
        await machine.console.waitFor(/asking the loader for recovery/, 600_000);
        await machine.console.waitFor(/waiting on port 22 for a repository/, 600_000);
        await machine.waitForSsh("true", 120_000);
        const pushed = join(directory, "repository.tar");
        await run(["tar", "-cf", pushed, "-C", host.repository, "."]);
        await push(machine.sshPort, host.sshKey, pushed);
        await say("hostd recover /var/lib/hostd/repository");
        await machine.ssh("sync; reboot -f").catch(() => {}); // the connection dies with the machine

        await machine.waitForSsh("test -d /run/systemd/system && hostd status", 600_000);
        expect(await say(identity)).toBe(before);
        expect(await say("cat /var/lib/hostd/data/shop/orders")).toBe("17 orders");
        const after = JSON.parse(await say("hostd status --json"));
        expect(after).toMatchObject({ host: { product: "host", booted: { as: "good", image: host.image } } });
      });
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});

/** A repository is hundreds of megabytes, which `machine.ssh` would hold in memory. */
async function push(port: number, key: string, tar: string): Promise<void> {
  const ssh = `ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -i ${key} -p ${port} root@127.0.0.1`;
  const there = "mkdir -p /var/lib/hostd/repository && tar -x -C /var/lib/hostd/repository";
  await run(["sh", "-c", `${ssh} '${there}' <${tar}`], { timeout: 600_000 });
}
