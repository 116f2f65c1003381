import { createHash } from "node:crypto";
import { bootOf } from "../../manifests/boot.ts";
import { digestFromHex } from "../../manifests/digest.ts";
import { appOf, parseImageConfig, parseManifest } from "../../manifests/image.ts";
import { parseRelease } from "../../manifests/release.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import type { Context } from "../operations/context.ts";
import type { Found } from "../stage/identify.ts";
import { hostOf } from "./host.ts";

/**
 * What the disk was laid down with, where that is what runs and hostd does not know it as the current version yet: after
 * the first boot, and after recovery laid an image down again. Undefined where there is nothing to adopt.
 */
export async function adoptable(engine: Engine): Promise<{ app: string; channel: string; found: Found } | undefined> {
  if (engine.host === undefined) return undefined;
  const seed = await engine.host.files.seed();
  if (seed === undefined) return undefined;
  const manifest = parseManifest(Buffer.from(seed.manifest));
  const app = appOf(parseImageConfig(Buffer.from(seed.config)))?.name;
  const boot = bootOf(manifest);
  if (app === undefined || boot?.root !== engine.host.machine.booted) return undefined;
  if (![boot.root, undefined].includes(await engine.host.files.good())) return undefined; // it is not proven
  const image = digestFromHex(createHash("sha256").update(seed.manifest).digest("hex"));
  if (isCurrent(engine, app, image)) return undefined;
  const parsed = seed.release === undefined ? undefined : parseRelease(Buffer.from(seed.release));
  const release = parsed?.image.digest === image ? parsed : undefined;
  const found = {
    image,
    sequence: release?.sequence ?? 0,
    version: release?.version ?? versionIn(manifest.annotations, image),
    declared: release?.config ?? {},
    manifest: seed.manifest,
    config: seed.config,
  };
  return { app, channel: release?.channel ?? engine.settings.channel, found };
}

/** Records it as staged, proven and current in one transaction: it runs, so there is nothing to try. */
export async function adopt(context: Context): Promise<string> {
  const { engine, app, id } = context;
  const { files, machine } = hostOf(engine);
  const { found, channel = engine.settings.channel } = context.plan.stage ?? {};
  if (found === undefined) throw new HostdError("journal", `operation ${id}: expected what to adopt, got nothing`);
  if (isCurrent(engine, app, found.image)) return `${found.version} is adopted`;
  if ((await files.good()) === undefined) await files.setGood(machine.booted);
  const { apps, slots, generations, operations } = engine.journal;
  engine.journal.transaction(() => {
    operations.lock(id, "stage");
    const before = apps.get(app)?.current;
    slots.stage(id, { app, channel, ...found });
    if (found.sequence >= (apps.get(app)?.floor ?? 0)) apps.accept(id, app, found);
    const slot = slots.require(app, found.image);
    if (slot.state === "failed") slots.release(app, found.image);
    slots.move(id, app, found.image, "try");
    slots.move(id, app, found.image, "bless");
    const number = generations.nextNumber(app);
    const config = generations.configVersion(app, {
      declared: found.declared,
      revision: engine.journal.config.concerning(app, engine.journal.config.head()),
    });
    generations.begin(id, { app, number, image: found.image, version: found.version, config, data: undefined });
    generations.move(id, app, number, "bless");
    apps.point(id, app, { current: number, previous: before });
  });
  return found.version;
}

function isCurrent(engine: Engine, app: string, image: string): boolean {
  const current = engine.journal.apps.get(app)?.current;
  return current !== undefined && engine.journal.generations.get(app, current)?.image === image;
}

function versionIn(annotations: Record<string, string> | undefined, image: string): string {
  return annotations?.["org.opencontainers.image.version"] ?? image.slice("sha256:".length, "sha256:".length + 12);
}
