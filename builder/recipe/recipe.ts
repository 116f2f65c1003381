import type { App, DataPath, Health, Limits, Listen, Signal } from "../../manifests/app.ts";
import type { Digest } from "../../manifests/digest.ts";
import type { Problem } from "./problem.ts";

/** A place in a recipe: line from 1, column from 1 in characters (code points); a tab is one character. */
export interface Position {
  line: number;
  column: number;
}

/** A checked recipe as plain data. Nothing in it depends on the machine, the clock or the context. */
export interface Recipe {
  /** `shop` of `shop.recipe`. */
  name: string;
  file: string;
  base: From;
  bootstrap: Step[];
  deploy: DeploySection | undefined;
  image: AppDeclarations;
  /** Declared ARGs and the values they had, for provenance; `undefined` where none was given. */
  args: Record<string, string | undefined>;
  /** What is allowed but probably not meant; `renderProblem` makes each readable. */
  warnings: Problem[];
}

export type Section = "bootstrap" | "deploy";

export interface DeploySection {
  /** `DEPLOY FROM x`: starts again from x; undefined continues on BOOTSTRAP. */
  from: From | undefined;
  steps: Step[];
  position: Position;
}

interface FromPlace {
  /** As written, after ARG substitution: the key in `NAME.recipe.lock`. */
  reference: string;
  position: Position;
}

/** Where a tree starts from. A name without a prefix (`node:20`) is a registry reference, as in a Dockerfile. */
export type From = FromPlace &
  (
    | { kind: "debian"; suite: string }
    | { kind: "scratch" }
    /** An image of the local store, by tag (default `latest`) or digest. */
    | { kind: "image"; name: string; tag: string | undefined; digest: Digest | undefined }
    /** An OCI layout directory, relative to the recipe's own directory. */
    | { kind: "oci"; directory: string; tag: string | undefined }
    /** A root file system as tar, relative to the recipe's own directory. */
    | { kind: "tar"; path: string }
    | { kind: "registry"; registry: string; repository: string; tag: string | undefined; digest: Digest | undefined }
  );

/** A step changes the tree. ENV, USER, SHELL and ARG are not steps: they are resolved into the steps below them. */
export type Step = RunStep | CopyStep | WorkdirStep;

interface StepPlace {
  section: Section;
  /** The instruction on one line, as progress shows it; a heredoc's body is left out. */
  text: string;
  position: Position;
  /** Last line of the instruction, its heredocs included. */
  lastLine: number;
  /** What a process of this step sees: ENV above it, and ARGs above it that ENV does not hide. Sorted by name. */
  env: Readonly<Record<string, string>>;
  /** Absolute and normalised. */
  workdir: string;
  /** `name[:group]` or `uid[:gid]` as written; undefined is root. */
  user: string | undefined;
}

export type Network = "default" | "none";

export interface RunStep extends StepPlace {
  kind: "run";
  command: RunCommand;
  mounts: Mount[];
  /** BOOTSTRAP has network, DEPLOY has none, `--network=` says otherwise. */
  network: Network;
}

export type RunCommand =
  /** Text for a shell; `shell` is what SHELL set (`["/bin/bash", "-c"]`), undefined is the builder's own strict sh. */
  | { form: "shell"; script: string; shell: string[] | undefined }
  | { form: "exec"; command: string[] }
  /** A heredoc that starts with `#!`: a file to be written, made executable and run. */
  | { form: "file"; content: string };

/** `--mount=` of RUN and TEST. `target` is absolute and normalised. */
export type Mount =
  | {
      type: "cache";
      target: string;
      id: string;
      sharing: "shared" | "private" | "locked";
      readonly: boolean;
      mode: number;
      uid: number;
      gid: number;
    }
  /** Read-only unless `readonly` is false, and then what is written is thrown away. */
  | { type: "bind"; target: string; from: TreeSource; source: string; readonly: boolean }
  | { type: "tmpfs"; target: string; size: number | undefined }
  /** A file at `target`, or the variable `env`, or both; a missing secret fails the step when it is required. */
  | {
      type: "secret";
      id: string;
      target: string | undefined;
      env: string | undefined;
      required: boolean;
      mode: number;
      uid: number;
      gid: number;
    };

/** Whose files are read: the build context, the finished BOOTSTRAP tree, or another image. */
export type TreeSource = { tree: "context" } | { tree: "bootstrap" } | { tree: "image"; from: From };

export interface CopyStep extends StepPlace {
  kind: "copy";
  from: TreeSource;
  sources: CopyPath[];
  /** `COPY <<name /dir/`: files whose content stands in the recipe. */
  files: CopyFile[];
  /** Absolute and normalised, without a trailing slash but for `/`. */
  destination: string;
  /** The destination was written with a trailing slash, or there are several sources: sources go into it. */
  intoDirectory: boolean;
  /** Take every shared library that the named files need along. */
  closure: boolean;
  owner: Owner | undefined;
  mode: Mode | undefined;
  /** Glob patterns relative to each source. */
  exclude: string[];
}

/** In a context: normalised, relative, `.` is all of it. In a tree: normalised and absolute. */
export interface CopyPath {
  path: string;
  /** Holds `*`, `?` or `[`: may name several files; none is an error. */
  pattern: boolean;
  position: Position;
}

export interface CopyFile {
  /** The heredoc's delimiter: the file's name when the destination is a directory. */
  name: string;
  content: string;
  position: Position;
}

/** `--chown=`: names are looked up in the target tree; a missing group is the user's number (as Docker does). */
export interface Owner {
  user: string;
  group: string | undefined;
}

/** `--chmod=`: octal for every copied entry, or symbolic clauses applied to each entry's own mode. */
export type Mode = { form: "octal"; mode: number } | { form: "symbolic"; clauses: ModeClause[] };

export interface ModeClause {
  /** Subset of `ugo`; empty means all, as `chmod` with umask 0. */
  who: string;
  operator: "+" | "-" | "=";
  /** Subset of `rwxXst`, or one of `u`, `g`, `o` to copy. */
  permissions: string;
}

/** WORKDIR makes its directory when it is missing, owned by root; `workdir` is that directory. */
export interface WorkdirStep extends StepPlace {
  kind: "workdir";
}

/** What the image says about itself. Fields of manifests/app.ts have its exact shape. */
export interface AppDeclarations {
  /** What the base brings (ParseOptions, or a usual PATH) and ENV above it, no ARG; sorted by name. */
  env: Readonly<Record<string, string>>;
  workdir: string | undefined;
  user: string | undefined;
  labels: Record<string, string>;
  /** undefined keeps the base image's; [] clears it. A set ENTRYPOINT also drops the base image's CMD. */
  entrypoint: string[] | undefined;
  cmd: string[] | undefined;
  /** `8080/tcp`, as OCI writes it. */
  expose: string[];
  /** `SIGQUIT`, as OCI writes it; undefined keeps the base image's. */
  stopSignal: string | undefined;
  /** Milliseconds that the app may take to end. */
  stopTimeout: number | undefined;
  listen: Listen[];
  health: Health[];
  data: DataPath[];
  config: ConfigDeclaration[];
  /** What makes it a host image. */
  boot: BootDeclaration | undefined;
  hooks: App["hooks"];
  /** How a node may go from one version to the next; undefined is stop-first. */
  switch: App["switch"];
  /** It runs to its end; undefined is a service. */
  job: App["job"];
  limits: Limits;
  tests: TestDeclaration[];
  /** The first of these instructions that says how a node runs an app. */
  ofApp: { keyword: string; position: Position } | undefined;
}

export interface ConfigDeclaration {
  path: string;
  /** Path of the template file in the context, normalised and relative. */
  template: string;
  /** The signal that makes the app read it again. */
  reload?: Signal;
  /** Of a host: the unit that is told of it. */
  unit?: string;
  position: Position;
}

/** Paths of files in the image, absolute and normalised; none of them goes into its layers. */
export interface BootDeclaration {
  kernel: string;
  initrd: string;
  /** The EFI program that starts the kernel. */
  stub: string;
  /** The recipe's part of the kernel's command line. */
  cmdline: string;
  /** The initrd that is a whole small system: what mends a host that cannot start. */
  recovery?: string;
  /** Directory of the image whose files are added to it, at the same path: they need not be built into it. */
  recoveryFiles?: string;
  position: Position;
}

export interface TestDeclaration {
  /** Suite name: `--name=`, else `test`, `test-2`, ... */
  name: string;
  command: string[];
  mounts: Mount[];
  network: Network;
  /** Milliseconds. */
  timeout: number;
  env: Readonly<Record<string, string>>;
  workdir: string;
  user: string | undefined;
  text: string;
  position: Position;
}

export type HookName = keyof App["hooks"];

/**
 * What a base image brings. Where FROM is an image, oci or registry reference this is not in the recipe: the builder
 * reads the image's config and parses again with it. Until then a variable that is not set is taken for empty.
 */
export interface Inherited {
  env?: Readonly<Record<string, string>>;
  workdir?: string | undefined;
  user?: string | undefined;
}

export interface ParseOptions {
  /** Product name; default from the file name. */
  name?: string;
  /** Values for ARGs (`--build-arg`); a name that no ARG declares is an error. */
  args?: Readonly<Record<string, string>>;
  /** Known config of FROM and of DEPLOY FROM, where they are images. */
  base?: Inherited;
  deployBase?: Inherited;
}
