import { join } from "node:path";
import { stopSignalOf, verityOf } from "../../manifests/image.ts";
import { realFiles } from "../config/files.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import { type Launchable, launchable } from "../operations/context.ts";
import type { StartSpec } from "../system/node.ts";
import { tell } from "../tell.ts";
import { processNumbers, runningOf } from "./process.ts";

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Mounts the slot of an image; what is mounted already stays. Every layer is checked first. */
export async function mountSlot(engine: Engine, app: string, image: Launchable["slot"]["image"]): Promise<string> {
  const slot = engine.journal.slots.require(app, image);
  return await engine.node.mountSlot({ app, image, layers: slot.manifest.layers.map(verityOf) });
}

/** The same for one that is to be started: the programs that apps are started with are tried meanwhile. */
export async function mountTried(engine: Engine, app: string, image: Launchable["slot"]["image"]): Promise<void> {
  const ends = await Promise.allSettled([engine.node.checkLauncher(), mountSlot(engine, app, image)]);
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

/** Starts a generation with its sockets, config and data; one that runs already is left as it is, and so is a job. */
export async function startGeneration(engine: Engine, app: string, number: number): Promise<void> {
  if (launchable(engine, app, number).app.job !== undefined) return; // its own operation alone starts it (job.ts)
  if ((await runningOf(engine, app, number)) === undefined) await launch(engine, app, number);
}

/** Starts a generation that does not run. */
export async function launch(engine: Engine, app: string, number: number): Promise<void> {
  const target = launchable(engine, app, number);
  const root = await mountSlot(engine, app, target.slot.image);
  await engine.node.ensureHolder(app, target.app.listen);
  await engine.node.start(await specOf(engine, target, root));
  engine.board.clear(app);
  const detail = { generation: number, version: target.slot.version };
  tell(engine, "app.started", { app, detail }, { later: true }); // a power cut ends the app anyway
}

export async function stopGeneration(engine: Engine, app: string, number: number): Promise<void> {
  const { stopTimeout } = launchable(engine, app, number).app;
  for (const process of processNumbers(engine, app, number)) await engine.node.stop(app, process, stopTimeout);
}

/** Everything a process of a generation gets; config is rendered and written on the way. */
export async function specOf(engine: Engine, target: Launchable, root: string): Promise<StartSpec> {
  const { generation, app } = target;
  const image = target.slot.config.config;
  const [data] = app.data;
  return {
    app: generation.app,
    generation: generation.number,
    root,
    command: [...(image.Entrypoint ?? []), ...(image.Cmd ?? [])],
    env: { PATH: DEFAULT_PATH, ...parseEnvironment(image.Env ?? []) },
    workdir: image.WorkingDir === undefined || image.WorkingDir === "" ? "/" : image.WorkingDir,
    ...(data === undefined ? {} : { data: { source: await dataOf(engine, generation.app), target: data.path } }),
    ...(await writeConfig(engine, target)),
    listenFds: app.listen.length,
    ...(app.limits === undefined ? {} : { limits: app.limits }),
    stopTimeout: app.stopTimeout,
    stopSignal: stopSignalOf(target.slot.config).number,
  };
}

/** The first version that has data begins with none. */
async function dataOf(engine: Engine, app: string): Promise<string> {
  await hasData(engine, app);
  return await engine.node.dataPath(app);
}

/** Whether an app has live data. Refuses (`data-gone`) where a good generation had some and there is none: it is somewhere else. */
export async function hasData({ node, journal, stateDirectory }: Engine, app: string): Promise<boolean> {
  if ((await node.liveData(app)) !== undefined) return true;
  const had = journal.generations.ofSlots(app).find((one) => one.state === "good" && one.data_format !== undefined);
  if (had === undefined) return false;
  const place = join(stateDirectory, "data", app, "live");
  throw new HostdError("data-gone", `${place}: expected the data that generation ${had.number} had, found none`, {
    hint: "mount the disk that holds it, or put it back, then try again",
  });
}

/** Renders the config of a generation and writes it where its process will read it. */
async function writeConfig(
  engine: Engine,
  { generation, app }: Launchable,
): Promise<Pick<StartSpec, "config" | "live">> {
  const basis = engine.journal.generations.config(generation.app, generation.config);
  const files = await realFiles(engine, generation.app, app.config, basis);
  if (files.length === 0) return { config: [] };
  return await engine.node.writeConfig(generation.app, generation.number, files);
}

function parseEnvironment(lines: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    lines.map((line) => {
      const [name = "", ...value] = line.split("=");
      return [name, value.join("=")];
    }),
  );
}
