import { createHash } from "node:crypto";
import { bootOf } from "../../manifests/boot.ts";
import { digestFromHex } from "../../manifests/digest.ts";
import { appOf, parseImageConfig, parseManifest } from "../../manifests/image.ts";
import { parseRelease } from "../../manifests/release.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import type { Context } from "../operations/context.ts";
import type { Found } from "../stage/identify.ts";
import { hostApp, hostOf, slotOfRoot } from "./host.ts";

/** A host version that runs and is proven, which the journal does not have as the current one. */
interface Adoptable {
  app: string;
  channel: string;
  found: Found;
}

/**
 * What runs as the last good system though the journal says that another version does: what the disk was laid down with,
 * after the first boot and after recovery brought it, or a version of this node that recovery went back to. Undefined where
 * there is nothing to adopt.
 */
export async function adoptable(engine: Engine): Promise<Adoptable | undefined> {
  if (engine.host === undefined) return undefined;
  const { machine, files } = engine.host;
  if ((await files.good()) !== machine.booted) return undefined; // it is not proven
  const seed = await seedOf(engine);
  const staged = stagedOf(engine);
  const chosen = seed === undefined || (staged?.found.sequence ?? -1) >= seed.found.sequence ? staged : seed;
  return chosen === undefined || isCurrent(engine, chosen.app, chosen.found.image) ? undefined : chosen;
}

/** What the disk was laid down with, where that is what runs. */
async function seedOf(engine: Engine): Promise<Adoptable | undefined> {
  const { files, machine } = hostOf(engine);
  const seed = await files.seed();
  if (seed === undefined) return undefined;
  const manifest = parseManifest(Buffer.from(seed.manifest));
  const app = appOf(parseImageConfig(Buffer.from(seed.config)))?.name;
  if (app === undefined || bootOf(manifest)?.root !== machine.booted) return undefined;
  const image = digestFromHex(createHash("sha256").update(seed.manifest).digest("hex"));
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

/** What the journal knows of what runs. */
function stagedOf(engine: Engine): Adoptable | undefined {
  const slot = slotOfRoot(engine, hostApp(engine), hostOf(engine).machine.booted);
  const documents = slot && engine.journal.slots.documents(slot.app, slot.image);
  if (slot === undefined || documents === undefined) return undefined;
  const { app, channel, image, sequence, version, declared } = slot;
  return { app, channel, found: { image, sequence, version, declared, ...documents } };
}

/** Records it as staged, proven and current in one transaction: it runs, so there is nothing to try. */
export async function adopt(context: Context): Promise<string> {
  const { engine, app, id } = context;
  const { found, channel = engine.settings.channel } = context.plan.stage ?? {};
  if (found === undefined) throw new HostdError("journal", `operation ${id}: expected what to adopt, got nothing`);
  if (isCurrent(engine, app, found.image)) return `${found.version} is adopted`;
  const { apps, slots, generations, operations } = engine.journal;
  engine.journal.transaction(() => {
    operations.lock(id, "stage");
    const before = apps.get(app)?.current;
    if (slots.get(app, found.image)?.sequence !== found.sequence) slots.stage(id, { app, channel, ...found });
    if (found.sequence >= (apps.get(app)?.floor ?? 0)) apps.accept(id, app, found);
    else apps.setTarget(id, app, found);
    const slot = slots.require(app, found.image);
    if (slot.state === "failed") slots.release(app, found.image);
    slots.move(id, app, found.image, "try");
    slots.move(id, app, found.image, "bless");
    const number = generations.nextNumber(app);
    const ran = generations.ofSlots(app).find(({ image, state }) => image === found.image && state === "good");
    const config =
      ran?.config ??
      generations.configVersion(app, {
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
