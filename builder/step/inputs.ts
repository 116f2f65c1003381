import type { Cache } from "../cache/cache.ts";
import { keyOf } from "../cache/cache.ts";
import { architecture, BUILD_FORMAT } from "../format.ts";
import type { CopyStep, RunStep, Step, WorkdirStep } from "../recipe/recipe.ts";
import type { ListedEntry } from "../tree/listing.ts";

/** Everything that decides a step's result; its canonical JSON is hashed into the step's key. */
export interface StepInputs {
  format: number;
  architecture: string;
  /** Content of the tree below. */
  below: string;
  instruction: unknown;
  env: Readonly<Record<string, string>>;
  workdir: string;
  user: string;
  /** Seconds since 1970; every time in the result is clamped to it. */
  epoch: number;
  /** What is read besides the tree below, by the name it has in the recipe: digest of its content. */
  reads: Record<string, string>;
}

/** The inputs of a step as far as the recipe alone says. */
export function inputsOf(step: Step, below: string, epoch: number, reads: Record<string, string>): StepInputs {
  // a COPY runs nothing and its paths are absolute: environment, user and directory cannot change what it does
  const process =
    step.kind === "copy"
      ? { env: {}, user: "", workdir: "/" }
      : {
          env: step.kind === "run" ? step.env : {},
          user: step.kind === "run" ? (step.user ?? "") : "",
          workdir: step.workdir,
        };
  const fixed = { format: BUILD_FORMAT, architecture: architecture(), below, epoch, reads };
  return { ...fixed, ...process, instruction: instructionOf(step) };
}

export function stepKey(inputs: StepInputs): string {
  return keyOf(inputs);
}

/** The instruction without its place in the file: moving or reformatting a line changes nothing. */
function instructionOf(step: Step): unknown {
  switch (step.kind) {
    case "run":
      return {
        kind: step.kind,
        command: step.command,
        mounts: step.mounts.map(withoutPlace),
        network: step.network,
      } satisfies Partial<Record<keyof RunStep, unknown>>;
    case "copy": {
      const { kind, from, sources, files, destination, intoDirectory, closure, owner, mode, exclude } = step;
      const plain = { kind, destination, intoDirectory, closure, owner, mode, exclude, from: withoutPlace(from) };
      return {
        ...plain,
        sources: sources.map(({ path, pattern }) => ({ path, pattern })),
        files: files.map(({ name, content }) => ({ name, content })),
      } satisfies Partial<Record<keyof CopyStep, unknown>>;
    }
    case "workdir":
      return { kind: step.kind } satisfies Partial<Record<keyof WorkdirStep, unknown>>;
  }
}

function withoutPlace(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, member: unknown) => (key === "position" ? undefined : member)));
}

/** Content of what a step reads, path by path, so that `--explain` can name the one that changed. */
export type ReadContent = Record<string, string>;

/** Remembers what was read under its digest, and gives the digest. Times are not part of it. */
export async function recordRead(cache: Cache, entries: readonly ListedEntry[], withTimes: boolean): Promise<string> {
  const content: ReadContent = {};
  for (const entry of entries) content[entry.path] = describeEntry(entry, withTimes);
  const digest = keyOf(content);
  if ((await cache.get("reads", digest)) === undefined) await cache.put("reads", digest, content);
  return digest;
}

function describeEntry(entry: ListedEntry, withTimes: boolean): string {
  const { type, mode, uid, gid, size, link, sha256, mtime, device, xattrs } = entry;
  const attributes = [...xattrs].map(([name, value]) => `${name}=${value.toString("hex")}`).sort();
  const parts = [
    type,
    mode.toString(8),
    uid,
    gid,
    size,
    sha256 ?? link,
    `${device.major}:${device.minor}`,
    ...attributes,
  ];
  return [...parts, ...(withTimes ? [mtime.seconds] : [])].join(" ");
}
