import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { READ_SIZE } from "../../effects/source.ts";
import { parseRootList, rootDigestOf, rootListOf } from "../../images/boot/roots.ts";
import { type App, appSchema } from "../../manifests/app.ts";
import { type Boot, type BootBlob, type BootFile, bootBlobs, bootOf } from "../../manifests/boot.ts";
import { type Digest, digestFromHex, hexOf, shortDigest } from "../../manifests/digest.ts";
import { appOf, parseImageConfig, parseManifest } from "../../manifests/image.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import type { Found } from "../stage/identify.ts";
import { collectEntries, espNeeds } from "./entries.ts";
import { hostApp, hostOf, newRecovery, requireBoot, slotOfRoot, trialRoot, versionsOf } from "./host.ts";
import { differenceOf } from "./plan.ts";

// What staging does more for a host image: the parts of its UKI, its root list, and room on the ESP.

/** Bytes of the ESP that stay free: loader.conf is written beside the old one, firmware keeps its own files there. */
const ESP_RESERVE = 4 * 1024 * 1024;

/** The boot document of what was found; undefined where it is no host image. */
function bootOfFound(found: Pick<Found, "manifest">): Boot | undefined {
  return bootOf(parseManifest(Buffer.from(found.manifest)));
}

/**
 * Refuses a host image where no host runs, one of another product than this host's, one whose root is not its layers', and
 * one that is told apart from a version of this node by kernel, initrd, command line or what it declares alone.
 */
export function refuseHost(engine: Engine, app: string, found: Found): void {
  const boot = bootOfFound(found);
  const host = hostApp(engine);
  const what = `${app} ${found.version} (${shortDigest(found.image)})`;
  if (boot === undefined) {
    if (host !== app) return;
    throw new HostdError("wrong-product", `${what}: expected a host image, got one that boots nothing`, {
      hint: `${app} is this node's host: its recipe needs BOOT`,
    });
  }
  hostOf(engine);
  if (host !== undefined && host !== app) {
    throw new HostdError("wrong-product", `${what}: expected an image of the host ${host}, got one of ${app}`, {
      hint: "a node has one host product; ostler disk lays down another",
    });
  }
  const root = rootDigestOf(rootListOf(parseManifest(Buffer.from(found.manifest))));
  if (root !== boot.root) {
    throw new HostdError("wrong-product", `${what}: expected root ${boot.root}, its layers make ${root}`, {
      hint: "build the image again: its UKI was made for other layers",
    });
  }
  const same = slotOfRoot(engine, app, boot.root);
  if (same === undefined) return;
  const { hostdOnly, why: byBoot } = differenceOf(requireBoot(same), boot, []);
  const why = hostdOnly
    ? declaredApart(appOf(same.config), appOf(parseImageConfig(Buffer.from(found.config))))
    : byBoot;
  if (why === undefined) return;
  throw new HostdError("wrong-product", `${what}: expected a root of its own, got that of ${same.version}: ${why}`, {
    hint: "a version is booted and judged by its layers: let a file in one of them differ as well, such as one that names the version",
  });
}

/** What two versions declare in other words: `HEALTH differs`. */
function declaredApart(one: App | undefined, other: App | undefined): string | undefined {
  const keys = Object.keys(appSchema.shape) as (keyof App)[];
  const different = keys.filter((key) => !isDeepStrictEqual(one?.[key], other?.[key]));
  if (different.length === 0) return undefined;
  return `${different.join(" and ").toUpperCase()} ${different.length === 1 ? "differs" : "differ"}`;
}

/** Parts of the UKI, and of a recovery system that is another than the present one, that are not here yet. */
export async function missingParts(engine: Engine, found: Pick<Found, "manifest">): Promise<BootBlob[]> {
  const boot = bootOfFound(found);
  if (boot === undefined || engine.host === undefined) return [];
  return await missingOf(engine, bootBlobs({ ...boot, recovery: await newRecovery(engine, boot) }));
}

/** Parts that are not on this node yet. */
export async function missingOf(engine: Engine, parts: readonly BootBlob[]): Promise<BootBlob[]> {
  const { files } = hostOf(engine);
  const there = await Promise.all(parts.map((part) => files.hasPart(part)));
  return parts.filter((_, index) => there[index] !== true);
}

/** Removes parts that lie here and are not what was signed, so that they count as missing. */
export async function removeDamagedParts(engine: Engine, found: Pick<Found, "manifest">): Promise<void> {
  const boot = bootOfFound(found);
  if (boot === undefined) return;
  const { files } = hostOf(engine);
  for (const part of bootBlobs(boot)) {
    if (!(await files.hasPart(part)) || (await digestOf([files.partPath(part.digest)])) === part.digest) continue;
    await files.removePart(part.digest);
  }
}

/** Room on the ESP for every version that is kept and for this one, of which pruning took what is not; refuses before a blob is fetched. */
export async function refuseWithoutRoomOnEsp(engine: Engine, app: string, found: Found): Promise<string | undefined> {
  const boot = bootOfFound(found);
  if (boot === undefined) return undefined;
  const { esp } = hostOf(engine);
  const versions = versionsOf(engine, app);
  const { free, files: left } = await esp.read();
  const coming = { root: boot.root, size: boot.uki.size, proven: false };
  const all = versions.some(({ root }) => root === boot.root) ? versions : [coming, ...versions];
  const needed =
    espNeeds(
      left.map(({ name }) => name),
      all,
    ) + ((await newRecovery(engine, boot))?.uki.size ?? 0);
  refuseWithoutEspRoom({ needed, free });
  return `${needed} bytes needed on the ESP, ${free} free`;
}

/** Removes entries of versions that are not here any more. */
export async function removeUnusedEntries(engine: Engine): Promise<void> {
  const app = hostApp(engine);
  if (engine.host === undefined || app === undefined) return;
  const { esp, files, machine } = engine.host;
  const unused = collectEntries({
    names: (await esp.read()).files.map(({ name }) => name),
    versions: versionsOf(engine, app),
    booted: machine.booted,
    good: await files.good(),
    trial: trialRoot(engine),
  });
  for (const name of unused) await esp.remove(name);
}

export function refuseWithoutEspRoom({ needed, free }: { needed: number; free: number }): void {
  if (needed === 0 || needed + ESP_RESERVE <= free) return;
  throw new HostdError(
    "no-space",
    `the ESP: expected ${needed + ESP_RESERVE} bytes free (${needed} for the versions that are kept, ${ESP_RESERVE} in reserve), got ${free}`,
    {
      hint: "keep fewer versions (hostd serve --keep), or hostd unpin one",
      details: { needed, free, reserve: ESP_RESERVE },
    },
  );
}

/** Takes the fetched parts in and proves that together they are the signed UKI. */
export async function takeParts(engine: Engine, found: Found, fetched: string): Promise<void> {
  const boot = bootOfFound(found);
  if (boot === undefined) return;
  const { files } = hostOf(engine);
  for (const { digest } of await missingParts(engine, found)) {
    await files.takePart(join(fetched, hexOf(digest)), digest);
  }
  await proveParts(engine, "UKI", boot);
  const recovery = await newRecovery(engine, boot);
  if (recovery !== undefined) await proveParts(engine, "recovery", recovery);
  await files.writeRoot(rootListOf(parseManifest(Buffer.from(found.manifest))));
}

async function proveParts(engine: Engine, what: string, { uki, parts }: BootFile): Promise<void> {
  const { files } = hostOf(engine);
  const digest = await digestOf(parts.map((part) => files.partPath(part.digest)));
  if (digest === uki.digest) return;
  for (const part of parts) await files.removePart(part.digest);
  throw new HostdError("blob-digest", `${what}: expected ${uki.digest}, its parts make ${digest}`, {
    hint: "stage again: the parts are fetched anew",
  });
}

/** Of files, one behind the other. */
async function digestOf(paths: readonly string[]): Promise<Digest> {
  const whole = createHash("sha256");
  for (const path of paths) {
    for await (const chunk of createReadStream(path, { highWaterMark: READ_SIZE })) whole.update(chunk as Buffer);
  }
  return digestFromHex(whole.digest("hex"));
}

/**
 * Removes parts, root lists and /etc of versions that are not here any more; never those of what runs, what the machine
 * stands on, what ran last, and never an /etc that another one shares. A staging may begin at any time: each is asked
 * about in the moment in which it goes.
 */
export async function removeUnusedHostFiles(engine: Engine): Promise<string[]> {
  const app = hostApp(engine);
  if (engine.host === undefined || app === undefined) return [];
  const { files, etc } = engine.host;
  const gone: string[] = [];
  for (const root of await files.roots()) {
    if (await isNeededRoot(engine, app, root)) continue;
    if (!(await etc.remove(root)) || (await isNeededRoot(engine, app, root))) continue;
    await files.removeRoot(root);
    gone.push(`root ${root}`);
  }
  for (const part of await files.parts()) {
    if (bootsHere(engine, app).some((boot) => bootBlobs(boot).some(({ digest }) => digest === part))) continue;
    await files.removePart(part);
    gone.push(`part ${part}`);
  }
  return gone;
}

async function isNeededRoot(engine: Engine, app: string, root: string): Promise<boolean> {
  const { files, machine } = hostOf(engine);
  const ours = [machine.booted, machine.started, await files.good()];
  return [...ours, trialRoot(engine), ...bootsHere(engine, app).map((boot) => boot.root)].includes(root);
}

/** Of the versions that are here, and of those that operations under way bring. */
function bootsHere({ journal }: Engine, app: string): Boot[] {
  return [
    ...journal.slots.list(app).flatMap((slot) => bootOf(slot.manifest) ?? []),
    ...journal.operations.unfinished(app).flatMap(({ plan }) => bootInPlan(plan) ?? []),
  ];
}

/** Layers of what runs, of what the machine stands on and of the last good system, whatever the journal knows of them. */
export async function layersOfHost(engine: Engine): Promise<string[]> {
  if (engine.host === undefined) return [];
  const { files, machine } = engine.host;
  const roots = [machine.booted, machine.started, await files.good()];
  const lists = await Promise.all(roots.map((root) => root && files.rootList(root)));
  return lists.flatMap((list) => (list ? (parseRootList(list) ?? []) : [])).map(({ root }) => root);
}

function bootInPlan(plan: Record<string, unknown>): Boot | undefined {
  const found = (plan["stage"] as { found?: Found } | undefined)?.found;
  return found === undefined ? undefined : bootOfFound(found);
}
