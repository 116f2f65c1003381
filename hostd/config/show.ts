import type { AppConfig, ConfigDiff, NodeConfig } from "../../manifests/config.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import { hostApp } from "../host/host.ts";
import type { SlotRow } from "../journal/slots.ts";
import { requireApp } from "../switch/plan.ts";
import { chooseConfig, configState, kindOfConfig } from "./choose.ts";
import { changedFiles, diffFiles, shownFiles, valuesOf } from "./files.ts";
import { appOfLayer } from "./layers.ts";
import type { Effective } from "./merge.ts";
import { pathsIn, secretName, unusedIn } from "./render.ts";

type Journaled = Pick<Engine, "journal">;

/** No app has this name: of it there are the shared layers alone. */
const NOBODY = "";

/** The node's layers and what they come to. */
export function showNode(engine: Journaled): NodeConfig {
  const { config, apps } = engine.journal;
  const revision = config.head();
  const names = apps.list().map(({ app }) => app);
  const values = valuesOf(engine, NOBODY, { declared: {}, revision });
  return {
    schema: 1,
    revision,
    layers: config.layers().map(({ subject, file = subject, digest = "", caller: by, revision: at, at: time }) => ({
      ...{ layer: subject, file, digest, revision: at, by, at: time },
    })),
    values: listed(values, new Set(names.flatMap((app) => [...pathsOf(engine, app)]))),
    secrets: config.allSecrets(revision).map(({ subject, revision: at }) => ({ name: subject, revision: at })),
    apps: names.map((app) => {
      const state = configState(engine, app);
      return { app, ...(state === undefined ? {} : { config: state }) };
    }),
    warnings: unused(
      engine,
      new Set([...names, ...config.layers().flatMap(({ subject }) => appOfLayer(subject) ?? [])]),
    ),
  };
}

/** What holds for one app: of the version that runs, else of the newest that is staged. */
export function showApp(engine: Journaled, app: string): AppConfig {
  const { config } = engine.journal;
  const revision = config.concerning(app, config.head());
  const paths = pathsOf(engine, app);
  const used = new Set([...paths].map(secretName));
  const state = configState(engine, app);
  return {
    schema: 1,
    app,
    revision,
    values: listed(valuesOf(engine, app, { declared: declaredOf(engine, app), revision }), paths),
    secrets: [...config.secretsAt(app, revision)].map(([name, mark]) => ({
      ...{ name: mark.subject, revision: mark.revision, used: used.has(name) },
    })),
    ...(state === undefined ? {} : { config: state }),
  };
}

/** What a switch would change: of config alone or, with a version that is staged, to that one. */
export function showDiff(engine: Engine, app: string, slot: SlotRow | undefined): ConfigDiff {
  const { apps, generations, slots, config } = engine.journal;
  const current = apps.get(app)?.current;
  const running = current === undefined ? undefined : generations.require(app, current);
  const before =
    running === undefined
      ? undefined
      : {
          files: requireApp(slots.require(app, running.image)).config,
          basis: generations.config(app, running.config),
        };
  const target = slot ?? (running === undefined ? undefined : slots.require(app, running.image));
  if (target === undefined) {
    throw new HostdError("not-staged", `${app} runs nothing on this node`, { hint: `hostd config diff ${app} IMAGE` });
  }
  const basis =
    slot === undefined && before !== undefined
      ? { declared: before.basis.declared, revision: config.concerning(app, config.head()) }
      : chooseConfig(engine, app, target).basis;
  const old = before === undefined ? [] : shownFiles(engine, app, before.files, before.basis);
  const now = shownFiles(engine, app, requireApp(target).config, basis);
  const changed = changedFiles(old, now);
  const diffs = diffFiles(old, now);
  const isOther = running !== undefined && target.image !== running.image;
  const how = isOther ? "restart" : changed.length === 0 ? "nothing" : "restart";
  const isLive = hostApp(engine) === app && !isOther && changed.length > 0;
  const alone = slot === undefined ? kindOfConfig(engine, app, {}) : undefined;
  return {
    schema: 1,
    app,
    ...(running === undefined || before === undefined ? {} : { version: running.config, from: before.basis.revision }),
    to: basis.revision,
    how: isLive ? "live" : running === undefined ? "start" : alone === "reload" ? "reload" : how,
    files: changed.map(({ path }, index) => ({ path, diff: diffs[index] ?? "" })),
  };
}

/** The paths that the templates of an app read: of what runs, or else of what is staged last. */
function pathsOf(engine: Journaled, app: string): Set<string> {
  const slot = slotOf(engine, app);
  return slot === undefined ? new Set() : pathsIn(requireApp(slot).config);
}

function declaredOf({ journal }: Journaled, app: string): Record<string, string> {
  const current = journal.apps.get(app)?.current;
  if (current === undefined) return journal.slots.list(app)[0]?.declared ?? {};
  return journal.generations.config(app, journal.generations.require(app, current).config).declared;
}

function slotOf({ journal }: Journaled, app: string): SlotRow | undefined {
  const current = journal.apps.get(app)?.current;
  if (current === undefined) return journal.slots.list(app)[0];
  return journal.slots.require(app, journal.generations.require(app, current).image);
}

function listed(values: Effective, paths: ReadonlySet<string>) {
  const unread = new Set(unusedIn(values, paths));
  return [...values]
    .map(([path, { value, layer, file, line }]) => ({ path, value, layer, file, line, used: !unread.has(path) }))
    .sort((one, other) => (one.path < other.path ? -1 : 1));
}

/** A shared value is of no use where no app reads it, an app's own where that one does not, or is not here. */
function unused(engine: Journaled, apps: ReadonlySet<string>): string[] {
  const revision = engine.journal.config.head();
  const readers = [...apps].map((app) => ({
    values: valuesOf(engine, app, { declared: {}, revision }),
    paths: pathsOf(engine, app),
    own: `app/${app}`,
  }));
  const all = new Set(readers.flatMap(({ paths }) => [...paths]));
  const shared = valuesOf(engine, NOBODY, { declared: {}, revision });
  const ofAll = unusedIn(shared, all).map((path) => ({ path, value: shared.get(path) }));
  const ofOne = readers.flatMap(({ values, paths, own }) =>
    unusedIn(values, paths)
      .map((path) => ({ path, value: values.get(path) }))
      .filter(({ value }) => value?.layer === own),
  );
  return [...ofAll, ...ofOne].map(
    ({ path, value }) => `${value?.file}:${value?.line}: no template on this node reads ${path} (${value?.layer})`,
  );
}
