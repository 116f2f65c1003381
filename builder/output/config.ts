import { APP_LABEL, type App } from "../../manifests/app.ts";
import { canonicalJson } from "../../manifests/document.ts";
import type { ImageConfig } from "../../manifests/image.ts";
import { architecture } from "../format.ts";
import type { AppDeclarations, Recipe } from "../recipe/recipe.ts";
import { DEFAULT_PATH } from "../sandbox/sandbox.ts";
import type { SectionLayer } from "./layers.ts";

export type Settings = ImageConfig["config"];

export interface ConfigInput {
  recipe: Recipe;
  app: App | undefined;
  /** What the image is built on says of itself. */
  inherited: Settings | undefined;
  layers: readonly SectionLayer[];
  /** Seconds since 1970. */
  epoch: number;
}

/** An OCI image config (image-spec config.md) with the app document in it. */
export function imageConfig(input: ConfigInput): Record<string, unknown> {
  const { recipe, app, layers } = input;
  const settings = settingsOf(recipe.image, input.inherited);
  const created = new Date(input.epoch * 1000).toISOString().replace(".000Z", "Z");
  const labels = { ...settings.Labels, ...(app === undefined ? {} : { [APP_LABEL]: canonicalJson(app) }) };
  const { image } = recipe;
  const ports =
    image.expose.length === 0 ? {} : { ExposedPorts: Object.fromEntries(image.expose.map((port) => [port, {}])) };
  return {
    created,
    architecture: architecture(),
    os: "linux",
    config: { ...settings, ...ports, ...(Object.keys(labels).length === 0 ? {} : { Labels: labels }) },
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map((layer) => ({ created, created_by: `ostler ${layer.section} of ${recipe.name}` })),
  };
}

/** The recipe's settings over those of the base image; labels of another image's app stay behind. */
export function settingsOf(image: AppDeclarations, inherited: Settings | undefined): Settings {
  const base = inherited ?? {};
  const env = { PATH: DEFAULT_PATH, ...parseEnv(base.Env), ...image.env };
  const labels = Object.entries({ ...base.Labels, ...image.labels }).filter(([name]) => name !== APP_LABEL);
  // a new ENTRYPOINT makes the base image's CMD meaningless (Dockerfile reference, CMD)
  const cmd = image.cmd ?? (image.entrypoint === undefined ? (base.Cmd ?? undefined) : undefined);
  const entrypoint = image.entrypoint ?? base.Entrypoint ?? undefined;
  const [user, workdir] = [image.user ?? base.User, image.workdir ?? base.WorkingDir];
  const stopSignal = image.stopSignal ?? base.StopSignal ?? "";
  return {
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    ...(user === undefined || user === "" ? {} : { User: user }),
    ...(entrypoint === undefined || entrypoint.length === 0 ? {} : { Entrypoint: entrypoint }),
    ...(cmd === undefined || cmd.length === 0 ? {} : { Cmd: cmd }),
    ...(workdir === undefined || workdir === "" ? {} : { WorkingDir: workdir }),
    ...(labels.length === 0 ? {} : { Labels: Object.fromEntries(labels) }),
    ...(stopSignal === "" ? {} : { StopSignal: stopSignal }),
  };
}

export function parseEnv(env: readonly string[] | undefined): Record<string, string> {
  return Object.fromEntries(
    (env ?? []).map((pair) => [pair.split("=", 1)[0] ?? "", pair.slice(pair.indexOf("=") + 1)]),
  );
}
