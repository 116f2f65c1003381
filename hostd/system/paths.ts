import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { unlessMissing } from "../../effects/errno.ts";
import { hexOf, shortDigest } from "../../manifests/digest.ts";
import type { Digest } from "../../manifests/image.ts";
import { NodeError } from "./failure.ts";
import type { NodeOptions } from "./node.ts";

/** Where hostd lives in a host image, and what another version's is put over; what is mounted there carries its root's digest. */
export const HOSTD_PLACE = "/usr/lib/hostd";

/** Where everything lies below the state directory (durable) and the run directory (gone after a reboot). */
export type Paths = ReturnType<typeof pathsOf>;

/** All paths of a node. Every name that becomes a file name is checked here. */
export function pathsOf({ stateDirectory, runDirectory }: NodeOptions) {
  checkRunDirectory(runDirectory);
  const appState = (app: string) => join(stateDirectory, "apps", checkApp(app));
  const appRun = (app: string) => join(runDirectory, "apps", checkApp(app));
  return {
    stateDirectory,
    layerFiles: join(stateDirectory, "layers"),
    layerFile: (root: string) => join(stateDirectory, "layers", `${checkRoot(root)}.erofs`),
    layerChecked: (root: string) => join(stateDirectory, "layers", `${checkRoot(root)}.checked`),
    layerMounts: join(runDirectory, "layers"),
    layerMount: (root: string) => join(runDirectory, "layers", checkRoot(root)),
    emptyLayer: join(runDirectory, "layers", "empty"),
    slots: join(runDirectory, "slots"),
    slot: (app: string, image: Digest) => join(runDirectory, "slots", checkApp(app), shortDigest(checkDigest(image))),
    /** Host roots whose hostd is put in place of the booted one's; the guard knows the name. */
    hostRoots: join(runDirectory, "programs"),
    hostRoot: (root: string) => join(runDirectory, "programs", checkRoot(root)),
    users: join(stateDirectory, "users.json"),
    appsOfAll: join(stateDirectory, "apps"),
    config: (app: string, generation: number) => join(appState(app), "config", String(generation)),
    /** Files with a secret in them: never on a disk that survives a reboot. */
    secretConfig: (app: string, generation: number) => join(appRun(app), "config", String(generation)),
    /** What a process sees as /run/config: a directory for each generation that used it, and a link to the current one. */
    liveConfig: (app: string, process: number) => join(appRun(app), "live", String(process)),
    logs: (app: string) => join(appState(app), "log"),
    log: (app: string, generation: number) => join(appState(app), "log", `${generation}.log`),
    data: (app: string) => join(stateDirectory, "data", checkApp(app)),
    dataOfAll: join(stateDirectory, "data"),
    /** What keeps the data, where that is not the state's own file system. */
    dataDriver: join(stateDirectory, "data-driver"),
    appsInRun: join(runDirectory, "apps"),
    appRun,
    holderSocket: (app: string) => join(appRun(app), "holder.sock"),
    holderLog: (app: string) => join(appState(app), "log", "holder.log"),
    records: (app: string) => join(appRun(app), "generations"),
    ending: (app: string, generation: number) => join(appRun(app), `ending.${generation}`),
    /** The cgroups that hold a generation's limits, where hostd itself made them. */
    cgroups: (app: string, generation: number) => join(appRun(app), "cgroups", String(generation)),
    /** Mount point of the app's root, used in private mount namespaces only. */
    appRoot: (app: string) => join(appRun(app), "root"),
    mountPoints: (app: string, name: string) => join(appRun(app), "points", name),
    /** Links that stand above the image. */
    links: (app: string, name: string) => join(appRun(app), "links", name),
  };
}

/** What tells the cgroups and units of one run directory from those of another. */
export function instanceOf(runDirectory: string): string {
  return createHash("sha256").update(runDirectory).digest("hex").slice(0, 8);
}

/** Apps that have a directory in a place; what else is there, such as lost+found, is somebody else's. */
export async function appsIn(directory: string): Promise<string[]> {
  const found = (await unlessMissing(readdir(directory, { withFileTypes: true }))) ?? [];
  return found.filter((entry) => entry.isDirectory() && APP.test(entry.name)).map(({ name }) => name);
}

const APP = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const IDENTIFIER = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** Snapshots and data versions are named by the engine; the name becomes a directory. */
export function checkId(id: string): string {
  if (!IDENTIFIER.test(id)) throw wrong("an id of letters, digits, . _ and -", id);
  return id;
}

function checkApp(app: string): string {
  if (!APP.test(app)) throw wrong("an app name of lower-case letters, digits and -", app);
  return app;
}

function checkRoot(root: string): string {
  if (!/^[0-9a-f]{64}$/.test(root)) throw wrong("a verity root of 64 lower-case hex digits", root);
  return root;
}

function checkDigest(image: Digest): Digest {
  if (!/^[0-9a-f]{64}$/.test(hexOf(image))) throw wrong("an image digest", image);
  return image;
}

/** Overlay options know no quoting that works everywhere, and a run directory is short by its nature. */
function checkRunDirectory(directory: string): void {
  if (!/^\/[A-Za-z0-9._/@+-]+$/.test(directory)) {
    throw wrong("an absolute run directory of letters, digits, . _ @ + - and /", directory);
  }
}

function wrong(expected: string, got: string): NodeError {
  return new NodeError("wrong-name", `expected ${expected}, got ${JSON.stringify(got)}`);
}
