import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeDurably } from "../../effects/durable.ts";
import { unlessMissing } from "../../effects/errno.ts";
import { parseRootList } from "../../images/boot/roots.ts";
import { bootOf } from "../../manifests/boot.ts";
import type { Journal } from "../journal/journal.ts";
import type { HostSystem } from "../system/host/open.ts";

/** What a reset leaves in the state directory of a node that was booted from a host image, beside what it always keeps. */
export const KEPT_OF_HOST = ["host", "layers"];

/** What the node made itself at its first start; a wiped node makes it anew. */
const MADE_AT_FIRST_START = ["etc/machine-id", "etc/ssh/ssh_host_ed25519_key", "etc/ssh/ssh_host_ed25519_key.pub"];

/**
 * Takes the host part of a node back to what a first disk has, and keeps what it runs on: the layers of the booted and of
 * the last good root. What runs becomes what hostd adopts at its next start. With `wipe` local changes of /etc go, and
 * at the next start the node gets a new machine id and a new host key; who may log in, and its address, stay.
 */
export async function keepHost(
  { machine, files, etc }: HostSystem,
  journal: Pick<Journal, "slots">,
  { stateDirectory, wipe }: { stateDirectory: string; wipe: boolean },
): Promise<void> {
  const host = join(stateDirectory, "host");
  const app = journal.slots.hostApp();
  const slot = app && journal.slots.list(app).find((one) => bootOf(one.manifest)?.root === machine.booted);
  const documents = slot && journal.slots.documents(app, slot.image);
  if (documents && (await files.seed())?.manifest !== documents.manifest) {
    await rm(join(host, "seed/release.json"), { force: true });
    await writeDurably(join(host, "seed/config.json"), documents.config);
    await writeDurably(join(host, "seed/manifest.json"), documents.manifest);
  }
  await files.setTrial(undefined);
  await files.clearBootLog();
  const used = [machine.booted, machine.started, await files.good()].filter((root) => root !== undefined);
  const roots = [...used, ...(await Promise.all(used.map(etc.ownerOf)))];
  await removeOtherLayers(join(stateDirectory, "layers"), await layersOf(files, roots));
  for (const root of (await files.roots()).filter((name) => !roots.includes(name))) {
    if (await etc.remove(root)) await files.removeRoot(root);
  }
  if (!wipe) return;
  await etc.wipe(machine.bootId);
  for (const name of MADE_AT_FIRST_START) await rm(join(host, "identity", name), { force: true });
}

async function layersOf(files: HostSystem["files"], roots: readonly (string | undefined)[]): Promise<Set<string>> {
  const lists = await Promise.all(
    roots.map(async (root) => (root === undefined ? undefined : await files.rootList(root))),
  );
  return new Set(lists.flatMap((list) => parseRootList(list ?? "") ?? []).map(({ root }) => root));
}

async function removeOtherLayers(directory: string, kept: ReadonlySet<string>): Promise<void> {
  for (const name of (await unlessMissing(readdir(directory))) ?? []) {
    if (!kept.has(name.slice(0, 64))) await rm(join(directory, name), { force: true });
  }
}
