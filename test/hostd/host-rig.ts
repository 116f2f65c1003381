import { setTimeout as delay } from "node:timers/promises";
import { publishTargets } from "../../keys/tuf/repository.ts";
import type { OperationDocument } from "../../manifests/node.ts";
import { allSigners, makeFoundation } from "../foundation.ts";
import { type BootResult, type Firmware, openFirmware } from "./firmware.ts";
import { type HostVersion, type HostVersionOptions, layDownFirst, openHostPublisher } from "./host-publisher.ts";
import { eventually, type Rig, withRig } from "./rig.ts";

/** A node whose system hostd upgrades: a rig on a machine of files, laid down with version 1 as `ostler disk` does. */
export interface HostRig {
  rig: Rig;
  firmware: Firmware;
  first: HostVersion;
  publishHost(options: HostVersionOptions): Promise<HostVersion>;
  /** Puts floors of the host into the signed policy. */
  setFloor(sequence: number): Promise<void>;
  /** Ends everything and powers on; with `cut` also what was not on the disks is lost. Starts hostd unless told not to. */
  reset(options?: { cut?: boolean; start?: boolean }): Promise<BootResult>;
  /** Does what hostd asked the machine for, if anything: a reboot, or the exchange of hostd. Answers whether it did. */
  act(): Promise<boolean>;
  /** Begins an operation of the host and reboots, or exchanges hostd, whenever it asks for it, to its end. */
  upgrade(verb: string, body?: Record<string, unknown>): Promise<OperationDocument>;
  /** The same for one that is under way. */
  finish(id: number): Promise<OperationDocument>;
}

/** Milliseconds that an operation may take here, reboots included. */
const LIMIT = 60_000;

export async function withHost(
  use: (host: HostRig) => Promise<void>,
  options: { disk?: "ext4"; issue?: string | null } = {},
): Promise<void> {
  await withRig(
    async (rig) => {
      const firmware = openFirmware(rig.directory, rig.state);
      const repository = rig.publisher.directory;
      const publisher = await openHostPublisher(repository, rig.directory);
      const { issue } = options;
      const publish = (version: HostVersionOptions) =>
        publisher({ ...(issue === undefined ? {} : { issue }), ...version });
      const host: HostRig = {
        rig,
        firmware,
        first: await layDownFirst({ repository, state: rig.state, esp: firmware.esp }, publish),
        publishHost: publish,
        async setFloor(sequence) {
          const { policy } = makeFoundation();
          const { production } = policy.channels;
          if (production === undefined) throw new Error("expected a production channel");
          const channels = { ...policy.channels, production: { ...production, floors: { host: sequence } } };
          const publishing = { directory: rig.publisher.directory, signers: allSigners, now: new Date() };
          await publishTargets(publishing, { policy: { ...policy, channels } });
        },
        async reset({ cut = false, start = true } = {}) {
          if (cut) rig.disk?.cutPower();
          await rig.kill();
          if (cut) await firmware.cutPower();
          else await firmware.powerOff();
          await rig.reboot();
          if (cut) await rig.disk?.repair();
          const booted = firmware.boot();
          if (start) await rig.start();
          return booted;
        },
        async act() {
          const [rebooting, exchanging] = [firmware.rebootAsked(), firmware.exchangeAsked()];
          if (!rebooting && !exchanging) return false;
          await rig.stop();
          if (rebooting) await host.reset({ start: false });
          else firmware.exchange();
          return true;
        },
        async upgrade(verb, body = {}) {
          const begun = await rig.client.begin("host", verb, body);
          return await host.finish(begun.id);
        },
        async finish(id) {
          for (const end = Date.now() + LIMIT; Date.now() < end; await delay(50)) {
            if (await host.act()) await rig.start();
            const operation = await rig.client.operation(id);
            if (operation.finished !== undefined) return operation;
          }
          throw new Error(`operation ${id} did not end: ${JSON.stringify(await rig.client.operation(id))}`);
        },
      };
      firmware.boot();
      await rig.start();
      await eventually(
        () => rig.client.status(),
        (status) => status.host?.product === "host" && status.apps[0]?.operations.length === 0,
      );
      await use(host);
    },
    { ...options, machine: true },
  );
}
