import type { ConfigFile } from "../../manifests/app.ts";
import type { Engine } from "../engine.ts";
import type { ConfigBasis } from "../journal/generations.ts";
import { diffFile } from "./diff.ts";
import { type Effective, mergeLayers, releaseLayer } from "./merge.ts";
import { pathsIn, type Rendered, renderConfig, secretName } from "./render.ts";

type Journaled = Pick<Engine, "journal">;

/** The values that hold for an app: what its release declares below the layers of the node as of a revision. */
export function valuesOf({ journal }: Journaled, app: string, { declared, revision }: ConfigBasis): Effective {
  return mergeLayers([releaseLayer(declared), ...journal.config.layersAt(app, revision)]);
}

/** The files as anybody may see them: a secret is named, with the revision that set it, in its place. */
export function shownFiles(
  engine: Journaled,
  app: string,
  files: readonly ConfigFile[],
  basis: ConfigBasis,
): Rendered[] {
  const secrets = engine.journal.config.secretsAt(app, basis.revision);
  return renderConfig(app, files, valuesOf(engine, app, basis), (name) => {
    const mark = secrets.get(name);
    return mark === undefined ? undefined : `(secret ${mark.subject}, revision ${mark.revision})`;
  });
}

/** The files as the app gets them. */
export async function realFiles(
  engine: Pick<Engine, "journal" | "vault">,
  app: string,
  files: readonly ConfigFile[],
  basis: ConfigBasis,
): Promise<Rendered[]> {
  const secrets = engine.journal.config.secretsAt(app, basis.revision);
  const known = new Map<string, string>();
  for (const path of pathsIn(files)) {
    const mark = secrets.get(secretName(path) ?? "");
    if (mark !== undefined) known.set(secretName(path) ?? "", await engine.vault.get(mark.subject, mark.digest));
  }
  return renderConfig(app, files, valuesOf(engine, app, basis), (name) => known.get(name));
}

/** Files that are others, new or gone. */
export function changedFiles(before: readonly Rendered[], after: readonly Rendered[]): Rendered[] {
  const differs = (one: Rendered, others: readonly Rendered[]) =>
    others.find(({ path }) => path === one.path)?.bytes !== one.bytes;
  const gone = before.filter(({ path }) => !after.some((other) => other.path === path));
  return [...after.filter((file) => differs(file, before)), ...gone];
}

/** What changes in each file, as a unified diff; both sides are as anybody may see them. */
export function diffFiles(before: readonly Rendered[], after: readonly Rendered[]): string[] {
  const textOf = (files: readonly Rendered[], path: string) => files.find((file) => file.path === path)?.bytes;
  return changedFiles(before, after).map(({ path }) => diffFile(path, textOf(before, path), textOf(after, path)));
}
