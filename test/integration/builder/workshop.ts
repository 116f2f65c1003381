import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type BuildOptions, type BuildResult, build } from "../../../builder/build.ts";
import { loadImage } from "../../../images/image.ts";
import { openStore } from "../../../images/store.ts";
import { makeMiniRoot } from "./mini-root.ts";

/** A directory with a recipe, its context and a home of its own. */
export interface Workshop {
  directory: string;
  home: string;
  recipe: string;
  /** Writes a file of the context. */
  write(path: string, content: string, mode?: number): void;
  /** Writes the recipe and builds it. */
  build(text: string, options?: Partial<BuildOptions>): Promise<BuildResult>;
  /** Layers of a built image, lowest first, as `tar -tv` shows them. */
  listLayers(result: BuildResult): string[][];
}

export interface Shared {
  directory: string;
  /** Minimal root file system as tar. */
  tar: string;
  remove(): void;
}

/** What the tests of one file share: a base that is made once, and a home in which it is known. */
export async function openShared(options: { without?: readonly string[] } = {}): Promise<Shared> {
  const directory = mkdtempSync(join(tmpdir(), "ostler-builder-"));
  const tar = join(directory, "mini.tar");
  makeMiniRoot(tar, options);
  const shared = { directory, tar, remove: () => rmSync(directory, { recursive: true, force: true }) };
  await openWorkshop(shared, "base", join(directory, "home")).build("FROM MINI\n");
  return shared;
}

/** A workshop with a home of its own, unless it is given one. */
export function openWorkshop(shared: Shared, name: string, given?: string): Workshop {
  const home = given ?? join(shared.directory, `home-${name.replaceAll("/", "-")}`);
  if (given === undefined) cpSync(join(shared.directory, "home"), home, { recursive: true, verbatimSymlinks: true });
  const directory = join(shared.directory, name);
  mkdirSync(directory, { recursive: true });
  const recipe = join(directory, "thing.recipe");
  return {
    directory,
    home,
    recipe,
    write(path, content, mode = 0o644) {
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), content, { mode });
    },
    build(text, options = {}) {
      writeFileSync(recipe, text.replaceAll("MINI", `tar:${shared.tar}`));
      const signal = new AbortController().signal;
      return build({ recipeFile: recipe, home, progress: () => {}, signal, ...options });
    },
    listLayers: (result) => result.layers.map(({ digest }) => listLayer(home, digest)),
  };
}

function listLayer(home: string, digest: string): string[] {
  const blob = join(home, "store/blobs/sha256", digest.slice("sha256:".length));
  const text = execFileSync("sh", [
    "-c",
    `zstd -dcq < ${blob} | tar --xattrs --full-time --numeric-owner -tvf -`,
  ]).toString();
  return text.trimEnd().split("\n");
}

/** Extracts an image's layers over each other with GNU tar, as any reader would. */
export async function extractWithTar(result: BuildResult, home: string, target: string): Promise<void> {
  const store = await openStore(join(home, "store"));
  const { manifest } = await loadImage(store, result.reference);
  mkdirSync(target, { recursive: true });
  for (const layer of manifest.layers) {
    const blob = store.pathOf(layer.digest);
    execFileSync("sh", [
      "-c",
      `zstd -dcq < ${blob} | tar --xattrs --xattrs-include='*' --numeric-owner -xpf - -C ${target}`,
    ]);
  }
}
