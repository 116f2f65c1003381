import type { Health, Limits, Listen, Signal } from "../../manifests/app.ts";
import type { Digest } from "../../manifests/digest.ts";
import type { FailureDocument } from "../../manifests/failure.ts";
import type { Descriptor, LayerVerity } from "../../manifests/image.ts";
import type { DataDriverName, PoolUse, TreeSize } from "./data-driver.ts";
import type { TreeDigest } from "./digest-tree.ts";

export interface NodeOptions {
  /** Survives a reboot: layers/, data/, apps/ (user ids, config, logs). */
  stateDirectory: string;
  /** Gone after a reboot: mounts, holders' control sockets, exit records. Short: unix socket paths end at 107 bytes. */
  runDirectory: string;
  /** What starts apps; bubblewrap unless said otherwise. A run directory keeps its first until a reboot or a reset. */
  launcher?: LauncherChoice;
  /** Where data of apps is kept: `auto` (what has it, else btrfs or plain copies) or `lvm:VG/POOL`. */
  data?: string;
}

/** `auto`: what the run directory is used with, else systemd where that started this process, else bubblewrap. */
export type LauncherChoice = "auto" | "systemd" | "bubblewrap";

/** Read-only inputs of one process in an image's sandbox. */
export interface StartSpec {
  app: string;
  generation: number;
  /** What mountSlot answered. */
  root: string;
  /** The program is looked up in the image, by `env.PATH` when it has no slash. */
  command: readonly string[];
  /** The whole environment; LISTEN_FDS and LISTEN_PID are added. The app runs as its own user, never as the image's USER. */
  env: Readonly<Record<string, string>>;
  workdir: string;
  /** Writable; the target need not exist in the image. */
  data?: Mount;
  /** Single files, read-only; the targets need not exist in the image. */
  config: readonly Mount[];
  /** Files that may be replaced while it runs (replaceConfig): links, also where the image has a file. */
  live?: LiveConfig;
  /** How many of the holder's sockets the process gets, from fd 3 on, in the order given to ensureHolder. */
  listenFds: number;
  /** What its processes may use; `files` each of them. What the node cannot hold is left out: limitsInForce tells. */
  limits?: Limits;
  /** Milliseconds that a shutdown of the node gives it to end; 10 s unless said otherwise. */
  stopTimeout?: number;
  /** What asks it to end, as the kernel counts signals; SIGTERM unless said otherwise. */
  stopSignal?: number;
}

export interface LiveConfig {
  /** Directory on the node that the process sees as /run/config. */
  source: string;
  /** Absolute, in the image. */
  targets: readonly string[];
}

/** One file of an app's config, as it was rendered. */
export interface ConfigFileBytes {
  path: string;
  bytes: string;
  /** Kept off the disk, and the app's alone to read. */
  secret?: boolean;
  /** Its process may be given another one while it runs. */
  reload?: Signal;
}

export interface Mount {
  /** On the node. A symlink (dataPath) is resolved at the start. */
  source: string;
  /** Absolute, in the image. */
  target: string;
}

/** A process of an app, alive unless `exited` is there. */
export interface Running {
  generation: number;
  /** Of the app itself, as the node sees it; 0 where it ended before it was known. */
  pid: number;
  /** RFC 3339. */
  startedAt: string;
  exited?: Exit;
}

/** How a process ended. Neither code nor signal: it ended together with its parent and nobody could ask. */
export interface Exit {
  /** As a shell would say it: 128 + n for signal n, which bubblewrap does not tell from exit(128 + n). */
  code?: number;
  /** `SIGKILL` and so on, where code is over 128. */
  signal?: string;
  /** The kernel killed it, or one of its processes, for want of memory. */
  oom?: true;
  /** RFC 3339. */
  at: string;
}

export interface HookSpec extends StartSpec {
  timeoutMs: number;
  signal?: AbortSignal;
}

export interface HookResult {
  exitCode: number;
  /** The last 16 KiB of both streams. */
  output: string;
  timedOut: boolean;
}

export interface HealthResult {
  ok: boolean;
  /** One line for people: `200 OK`, `connect ECONNREFUSED 127.0.0.1:8080`, `exit code 3: ...`. */
  detail: string;
  /** Milliseconds. */
  took: number;
}

export interface Snapshot {
  id: string;
  /** RFC 3339. */
  createdAt: string;
}

/** What keeps the data, and how full the store is that all of it shares. */
export interface DataStore {
  driver: DataDriverName;
  pool?: PoolUse;
}

/** What could not be removed of an app's data that is live no more, and why. */
export interface Leftover {
  app: string;
  /** A directory, or a volume. */
  place: string;
  why: FailureDocument;
}

/**
 * All real effects of a node: mounts, processes, sockets, data. It decides nothing; the engine does, and journals.
 * Every function may be repeated after a crash: what is done already is left as it is. Failures are NodeError.
 */
export interface NodeSystem {
  /** Makes layers/<root>.erofs from a blob, whose digest is verified before a byte of it is parsed; no-op when it is there, unless it is to be replaced. */
  layDownLayer(input: {
    blob: string;
    layer: Descriptor;
    signal?: AbortSignal;
    replace?: boolean;
    /** Told how many bytes of the blob are laid down. */
    onBytes?: ((read: number) => void) | undefined;
  }): Promise<void>;
  hasLayer(verity: LayerVerity): Promise<boolean>;
  /** Verifies the whole file unless it is unchanged since it was last verified; the error names file and block. */
  checkLayer(verity: LayerVerity): Promise<void>;
  /** Verifies the whole file whatever is remembered: a disk may lose what nobody wrote. */
  scrubLayer(verity: LayerVerity, pace?: (bytes: number) => Promise<void>): Promise<void>;
  /**
   * Unmounts and deletes it; refuses (`layer-in-use`) while a mounted slot needs it. `isUnused` is asked in the moment in
   * which the file goes; answers whether it went. `root` = verity root.
   */
  removeLayer(root: string, isUnused: () => boolean): Promise<boolean>;
  /** Verity roots of all layers laid down. */
  layers(): Promise<string[]>;

  /**
   * Mounts each layer once and stacks them read-only; answers the slot's path. Where the kernel has dm-verity it checks
   * every read from then on; elsewhere each file is checked whole before.
   */
  mountSlot(input: { app: string; image: Digest; layers: readonly LayerVerity[] /* base first */ }): Promise<string>;
  /** The same of a host's root, for the guard to put its hostd in place (hostd/system/host/exchange.ts). */
  mountHostRoot(root: string, layers: readonly LayerVerity[] /* base first */): Promise<string>;
  unmountHostRoots(): Promise<void>;
  /** Also unmounts layers that no slot needs any more. */
  unmountSlot(app: string, image: Digest): Promise<void>;
  /** What holds for all layers mounted now. */
  protection(): Promise<"every-read" | "checked-before-mount">;
  mountedSlots(): Promise<{ app: string; image: Digest }[]>;
  /** Bytes that may still be written to the state directory. */
  freeBytes(): Promise<number>;

  /**
   * Starts the app's holder or adopts the living one, and gives it exactly these sockets; those it has already stay
   * open without a gap. `port-in-use` names the port and who has it; the earlier sockets are then kept. Another address
   * on the same port needs the generations that listen there stopped first.
   */
  ensureHolder(app: string, listen: readonly Listen[]): Promise<void>;
  /** Refuses (`launcher-failed`) where a program of the node that apps are started with is not there or does not run. */
  checkLauncher(): Promise<void>;
  /** Resolves when the program has been executed; `start-failed` says why it could not be, `launcher-failed` why it did not come to that. */
  start(spec: StartSpec): Promise<Running>;
  /** Its stop signal to the app itself, SIGKILL to everything it started after `timeoutMs`; resolves when all of it is gone. */
  stop(app: string, generation: number, timeoutMs: number): Promise<void>;
  /** Every generation that lives, and the last ones that ended since the node booted, newest last; true after hostd's and after the holder's death. */
  running(app: string): Promise<Running[]>;
  /**
   * What the kernel really holds the living process of a generation to; nothing for what it does not limit. Undefined
   * where none lives.
   */
  limitsInForce(app: string, generation: number): Promise<Limits | undefined>;
  /** Kills what still runs, closes the sockets, ends the holder, forgets its records. */
  removeHolder(app: string): Promise<void>;
  /** Runs to its end in the image's sandbox, without sockets. It dies with hostd, and at once when its signal is aborted. */
  runHook(spec: HookSpec): Promise<HookResult>;
  /** The last 64 KiB; of the newest generation unless one is named. Empty where there is none. */
  logs(app: string, generation?: number): Promise<string>;
  /** Whether an empty log means that nothing was written; false where what keeps logs may have forgotten it (journald). */
  keepsLog(app: string, generation: number): Promise<boolean>;

  /**
   * One check, once. Unhealthy is a value; it throws only for faults of the node. `probe`: a unix socket of this
   * generation, as the app sees its path, at which http and tcp checks are asked in place of the address they name.
   */
  check(health: Health, context: { app: string; generation: number; probe?: string }): Promise<HealthResult>;

  /** The app's live data (a symlink to the version in use); where there is none, an empty version of the app's user is made. */
  dataPath(app: string): Promise<string>;
  /** The version of the data that is live; undefined where the app has none. */
  liveData(app: string): Promise<string | undefined>;
  /** Read-only copy of the live version. The app should be quiet or crash-safe. What lies under that name is forgotten first. */
  snapshot(app: string, id: string): Promise<Snapshot>;
  /** Oldest first. */
  snapshots(app: string): Promise<Snapshot[]>;
  /** Reads a snapshot where the node has it as a directory; nobody forgets it meanwhile. */
  withSnapshot<T>(app: string, id: string, use: (directory: string) => Promise<T>): Promise<T>;
  /** Those that `forget` refuses now. */
  snapshotsBeingRead(app: string): string[];
  /**
   * Makes version `version` from a snapshot and flips live to it. The version that was live is then a leftover; answers
   * what could not be removed. The app must be stopped.
   */
  restore(app: string, snapshot: string, version: string): Promise<Leftover[]>;
  /** Makes the live version a snapshot, and leaves the app without data. The app must be stopped. */
  setDataAside(app: string, id: string): Promise<void>;
  /** Removes versions that are live no more and what is half made, of every app; each that cannot be is in the answer, and stays. */
  removeDataLeftovers(): Promise<Leftover[]>;
  /** Mount points and subvolumes in the live version: no snapshot would hold what is in them. */
  nestedInData(app: string): Promise<string[]>;
  /** Deletes a snapshot; no-op when it is gone. Refuses (`data-in-use`) while it is read. */
  forget(app: string, id: string): Promise<void>;
  /** Deletes the snapshots of every app; answers how many there were. */
  forgetAll(): Promise<number>;
  /** Reads a snapshot whole. */
  digestSnapshot(app: string, id: string, pace?: (bytes: number) => Promise<void>): Promise<TreeDigest>;
  /** What each snapshot takes, by id; plain copies are walked for it. */
  snapshotSizes(app: string): Promise<Readonly<Record<string, TreeSize>>>;
  /**
   * Bytes that one more snapshot takes at once; 0 where any would leave `spare` bytes free, so that it is not measured.
   * Refuses (`path-too-long`) what no snapshot could hold.
   */
  snapshotCost(app: string, spare: number): Promise<number>;
  dataStore(): Promise<DataStore>;
  /** Removes versions and snapshots of an app, which does not run. */
  removeData(app: string): Promise<void>;
  /** The same of every app; none runs. */
  wipeData(): Promise<void>;

  /** Writes the files of a generation, readable by the app's user alone; answers what its sandbox needs to have them. */
  writeConfig(
    app: string,
    generation: number,
    files: readonly ConfigFileBytes[],
  ): Promise<Pick<StartSpec, "config" | "live">>;
  /** Gives a running process the reloadable ones of these files, all at once: it sees the old ones or the new ones. */
  replaceConfig(
    app: string,
    change: { process: number; generation: number; files: readonly ConfigFileBytes[] },
  ): Promise<void>;
  /** Sends a signal to the app's own process of a generation; nothing where it has ended. */
  signal(app: string, generation: number, signal: Signal): Promise<void>;
  /** Numbers of the generations whose config or log is on the disk, in no order. */
  generations(app: string): Promise<number[]>;
  /** Forgets config and log of a generation that is collected. */
  removeGeneration(app: string, generation: number): Promise<void>;
}

export { openNode } from "./open.ts";
