import { readFileSync } from "node:fs";
import { APP_LABEL, type App, appSchema } from "../../manifests/app.ts";
import { canonicalJson, checkDocument } from "../../manifests/document.ts";
import type { ImageConfig } from "../../manifests/image.ts";
import { parseTemplate, TemplateProblem } from "../../manifests/template.ts";
import { pointAt } from "../../terminal/excerpt.ts";
import { BuildError } from "../error.ts";
import { architecture } from "../format.ts";
import type { AppDeclarations, Recipe } from "../recipe/recipe.ts";
import { DEFAULT_PATH } from "../sandbox/sandbox.ts";
import type { Context } from "../source/context.ts";
import { toBinary } from "../tree/bytes.ts";
import type { SectionLayer } from "./layers.ts";

type Settings = ImageConfig["config"];

export interface ConfigInput {
  recipe: Recipe;
  context: Context;
  /** What the image is built on says of itself. */
  inherited: Settings | undefined;
  layers: readonly SectionLayer[];
  /** Seconds since 1970. */
  epoch: number;
}

/** An OCI image config (image-spec config.md), and the app document in it where the image runs something, or is a host. */
export function imageConfig(input: ConfigInput): { config: Record<string, unknown>; app: App | undefined } {
  const { recipe, layers } = input;
  const settings = settingsOf(recipe.image, input.inherited);
  const runs = (settings.Entrypoint ?? settings.Cmd ?? []).length > 0;
  const app = runs || recipe.image.boot !== undefined ? appDocument(recipe, input.context) : undefined;
  const created = new Date(input.epoch * 1000).toISOString().replace(".000Z", "Z");
  const labels = { ...settings.Labels, ...(app === undefined ? {} : { [APP_LABEL]: canonicalJson(app) }) };
  const { image } = recipe;
  const extra = {
    ...(image.expose.length === 0 ? {} : { ExposedPorts: Object.fromEntries(image.expose.map((port) => [port, {}])) }),
    ...(image.stopSignal === undefined ? {} : { StopSignal: image.stopSignal }),
  };
  const config = {
    created,
    architecture: architecture(),
    os: "linux",
    config: { ...settings, ...extra, ...(Object.keys(labels).length === 0 ? {} : { Labels: labels }) },
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map((layer) => ({ created, created_by: `ostler ${layer.section} of ${recipe.name}` })),
  };
  return { config, app };
}

/** The recipe's settings over those of the base image; labels of another image's app stay behind. */
function settingsOf(image: AppDeclarations, inherited: Settings | undefined): Settings {
  const base = inherited ?? {};
  const env = { PATH: DEFAULT_PATH, ...parseEnv(base.Env), ...image.env };
  const labels = Object.entries({ ...base.Labels, ...image.labels }).filter(([name]) => name !== APP_LABEL);
  // a new ENTRYPOINT makes the base image's CMD meaningless (Dockerfile reference, CMD)
  const cmd = image.cmd ?? (image.entrypoint === undefined ? (base.Cmd ?? undefined) : undefined);
  const entrypoint = image.entrypoint ?? base.Entrypoint ?? undefined;
  const [user, workdir] = [image.user ?? base.User, image.workdir ?? base.WorkingDir];
  return {
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    ...(user === undefined || user === "" ? {} : { User: user }),
    ...(entrypoint === undefined || entrypoint.length === 0 ? {} : { Entrypoint: entrypoint }),
    ...(cmd === undefined || cmd.length === 0 ? {} : { Cmd: cmd }),
    ...(workdir === undefined || workdir === "" ? {} : { WorkingDir: workdir }),
    ...(labels.length === 0 ? {} : { Labels: Object.fromEntries(labels) }),
  };
}

export function parseEnv(env: readonly string[] | undefined): Record<string, string> {
  return Object.fromEntries(
    (env ?? []).map((pair) => [pair.split("=", 1)[0] ?? "", pair.slice(pair.indexOf("=") + 1)]),
  );
}

function appDocument(recipe: Recipe, context: Context): App {
  const { listen, health, data, config, hooks, switch: order, job, limits } = recipe.image;
  const files = config.map((file) => {
    const entry = context.find(toBinary(file.template));
    if (entry?.type === "file") {
      context.taken.add(entry.path);
      const template = checkTemplate(file.template, readFileSync(entry.file, "utf8"));
      const { path, reload, unit } = file;
      return { path, template, ...(reload === undefined ? {} : { reload }), ...(unit === undefined ? {} : { unit }) };
    }
    throw new BuildError(
      "source-missing",
      `${recipe.file}:${file.position.line}: CONFIG ${file.path}: expected the template ${file.template} in the context ${context.directory}, got none`,
    );
  });
  const app = {
    schema: 1,
    name: recipe.name,
    listen,
    health,
    data,
    config: files,
    hooks,
    ...(order === undefined ? {} : { switch: order }),
    ...(job === undefined ? {} : { job }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
  };
  return checkDocument(app, appSchema, `${recipe.file}: app document`);
}

/** What no node could ever render is no image. */
function checkTemplate(file: string, text: string): string {
  try {
    parseTemplate(text);
    return text;
  } catch (error) {
    if (!(error instanceof TemplateProblem)) throw error;
    const { line, column, length, message } = error;
    const place = { file, line, column, length, source: text.split("\n")[line - 1] ?? "" };
    throw new BuildError("template", pointAt(place, message).join("\n"), {
      hint: 'docs/recipe.md, CONFIG, says what may stand there; {{ "{{" }} writes two braces',
      cause: error,
    });
  }
}
