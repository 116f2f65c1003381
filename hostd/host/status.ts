import { defaultOf, findEntries, RECOVERY_ENTRY } from "../../images/boot/entries.ts";
import { bootOf } from "../../manifests/boot.ts";
import { toFailureDocument } from "../../manifests/failure.ts";
import type { HostStatus } from "../../manifests/host.ts";
import { verityOf } from "../../manifests/image.ts";
import { basisFor } from "../config/choose.ts";
import type { Engine } from "../engine.ts";
import type { SlotRow } from "../journal/slots.ts";
import type { EspContent } from "../system/host/esp.ts";
import type { HostSystem } from "../system/host/open.ts";
import { wayTo } from "./compare.ts";
import { short } from "./entries.ts";
import { hostApp, slotOfRoot } from "./host.ts";

/**
 * Everything about the system under this node; undefined where it is no host image. Takes no lock. A part that cannot be
 * told is a problem, and hides no other one.
 */
export async function toHostStatus(engine: Engine): Promise<HostStatus | undefined> {
  if (engine.host === undefined) return undefined;
  const { machine, files, esp, etc } = engine.host;
  const product = hostApp(engine);
  const problems: string[] = [];
  const ask = async <T>(what: string, answer: Promise<T>): Promise<T | undefined> => {
    try {
      return await answer;
    } catch (error) {
      problems.push(`${what}: ${toFailureDocument(error).message}`);
      return undefined;
    }
  };
  const good = await ask("last good system", files.good());
  const booted = slotOfRoot(engine, product, machine.booted);
  const content = await ask("ESP", esp.read());
  const boot = await ask("times of the boot", timesOf(engine, machine));
  const next = await ask("next version", nextOf(engine, product, booted));
  const drift = await ask("drift of /etc", etc.drift(machine.booted));
  const of = (root: string) => bootable(root, slotOfRoot(engine, product, root));
  return {
    ...(product === undefined ? {} : { product }),
    booted: { ...of(machine.booted), as: await roleOf(engine, good) },
    ...(machine.started === machine.booted ? {} : { started: of(machine.started) }),
    ...(good === undefined ? {} : { good: of(good) }),
    ...(content === undefined ? { entries: [], recovery: false } : espStatus(engine, product, content)),
    ...(problems.length === 0 ? {} : { problem: problems.join("; ") }),
    ...(boot === undefined ? {} : { boot }),
    ...(booted === undefined ? {} : { size: sizeOf(booted) }),
    ...(next === undefined ? {} : { next }),
    drift: drift ?? [],
  };
}

/** Once user space is up they stay what they are. */
function timesOf(engine: Engine, machine: HostSystem["machine"]) {
  return engine.memo(
    "boot-times",
    () => machine.bootTimes(),
    (times) => times?.user !== undefined,
  );
}

function bootable(root: string, slot: SlotRow | undefined) {
  return { root, ...(slot === undefined ? {} : { image: slot.image, version: slot.version }) };
}

async function roleOf(engine: Engine, good: string | undefined): Promise<HostStatus["booted"]["as"]> {
  const booted = engine.host?.machine.booted;
  if (booted === good) return "good";
  const plans = engine.journal.operations.unfinished().map(({ plan }) => plan["host"] as { root?: string } | undefined);
  return plans.some((plan) => plan?.root === booted) ? "trial" : "other";
}

function espStatus(engine: Engine, product: string | undefined, content: EspContent) {
  const { files, conf, free, total } = content;
  const number = defaultOf(conf);
  const sizes = new Map(files.map(({ name, size }) => [name, size]));
  const slots = product === undefined ? [] : engine.journal.slots.list(product);
  const entries = findEntries([...sizes.keys()]).map((entry) => {
    const slot = slots.find(({ manifest }) => short(bootOf(manifest)?.root ?? "") === entry.root);
    const { name, tries, number: own } = entry;
    return {
      ...bootable((slot && bootOf(slot.manifest)?.root) ?? entry.root, slot),
      name,
      number: own,
      size: sizes.get(name) ?? 0,
      default: own === number,
      ...(tries === undefined ? {} : { tries }),
    };
  });
  const used = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  return { entries, recovery: sizes.has(RECOVERY_ENTRY), esp: { total, free, entries: used } };
}

function sizeOf({ manifest }: SlotRow) {
  const layers = manifest.layers.map((layer) => verityOf(layer).size).reduce((sum, size) => sum + size, 0);
  return { layers, uki: bootOf(manifest)?.uki.size ?? 0 };
}

/** The newest version that may run and is not the one that does. */
async function nextOf(engine: Engine, product: string | undefined, booted: SlotRow | undefined) {
  if (product === undefined) return undefined;
  const allowed = (slot: SlotRow) =>
    slot.state !== "failed" && engine.journal.quarantine.of(product, slot.image) === undefined;
  const slot = engine.journal.slots.list(product).find(allowed);
  if (slot === undefined || slot.image === booted?.image) return undefined;
  const { basis } = basisFor(engine, product, slot);
  return { image: slot.image, version: slot.version, ...(await wayTo(engine, { from: booted, to: slot, basis })) };
}
