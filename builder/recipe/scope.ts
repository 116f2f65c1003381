import type { From, Inherited } from "./recipe.ts";

/** PATH where the base image says nothing else (design section 3: made bases, scratch). */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** What instructions of a section leave behind for those below them. */
export interface Scope {
  /** What the base brings, then ENV. */
  env: Map<string, string>;
  /** ARG; undefined where neither a default nor a value was given. */
  args: Map<string, string | undefined>;
  workdir: string;
  /** WORKDIR was given here or by the base. */
  hasWorkdir: boolean;
  user: string | undefined;
  shell: string[] | undefined;
  /** The base is an image whose variables are not known yet: a name that is not set may be set there. */
  open: boolean;
  /** The environment as steps got it last; dropped when ENV or ARG changes it. */
  shown: Readonly<Record<string, string>> | undefined;
}

export function openScope(from: From | undefined, inherited: Inherited | undefined): Scope {
  return {
    env: new Map(Object.entries({ PATH: DEFAULT_PATH, ...inherited?.env })),
    args: new Map(),
    workdir: inherited?.workdir || "/",
    hasWorkdir: Boolean(inherited?.workdir),
    user: inherited?.user || undefined,
    shell: undefined,
    open: inherited === undefined && (from === undefined || isImage(from)),
    shown: undefined,
  };
}

/** The environment of a process: ENV over ARG (an ENV of the same name wins, as in a Dockerfile), sorted by name. */
export function environmentOf(scope: Scope): Readonly<Record<string, string>> {
  scope.shown ??= sorted(new Map([...scope.args, ...scope.env]));
  return scope.shown;
}

export function sorted<T>(map: ReadonlyMap<string, T | undefined>): Record<string, T> {
  const set = [...map].filter((entry): entry is [string, T] => entry[1] !== undefined);
  return Object.fromEntries(set.sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function setEnv(scope: Scope, name: string, value: string): void {
  scope.env.set(name, value);
  scope.shown = undefined;
}

export function setArg(scope: Scope, name: string, value: string | undefined): void {
  scope.args.set(name, value);
  scope.shown = undefined;
}

function isImage(from: From): boolean {
  return from.kind === "image" || from.kind === "oci" || from.kind === "registry";
}
