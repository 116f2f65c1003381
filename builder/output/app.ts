import { isUtf8 } from "node:buffer";
import { readFileSync } from "node:fs";
import { type App, appSchema, TEMPLATE_LIMIT } from "../../manifests/app.ts";
import { checkDocument } from "../../manifests/document.ts";
import { parseTemplate, TemplateProblem } from "../../manifests/template.ts";
import { pointAt } from "../../terminal/excerpt.ts";
import { BuildError } from "../error.ts";
import type { ConfigDeclaration, Recipe } from "../recipe/recipe.ts";
import type { Context } from "../source/context.ts";
import { toBinary } from "../tree/bytes.ts";
import { type Settings, settingsOf } from "./config.ts";

/**
 * The app document of an image that runs something, or is a host; undefined for any other. Refuses declarations that
 * only an app could use where nothing runs, and templates that no node could render.
 */
export function appDocument(recipe: Recipe, inherited: Settings | undefined, context: Context): App | undefined {
  const { Entrypoint, Cmd } = settingsOf(recipe.image, inherited);
  if ((Entrypoint ?? Cmd ?? []).length === 0 && recipe.image.boot === undefined) return expectNoApp(recipe);
  const { listen, health, data, config, hooks, switch: order, job, limits, stopTimeout } = recipe.image;
  const app = {
    schema: 1,
    name: recipe.name,
    listen,
    health,
    data,
    config: config.map((file) => configFile(file, recipe, context)),
    hooks,
    ...(order === undefined ? {} : { switch: order }),
    ...(job === undefined ? {} : { job }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ...(stopTimeout === undefined ? {} : { stopTimeout }),
  };
  return checkDocument(app, appSchema, `${recipe.file}: app document`);
}

function expectNoApp({ file, image }: Recipe): undefined {
  const found = image.ofApp;
  if (found === undefined) return undefined;
  throw new BuildError(
    "no-program",
    `${file}:${found.position.line}: ${found.keyword}: expected ENTRYPOINT or CMD, got an image that runs nothing`,
    {
      hint: "say what runs; or leave it out: the recipe of an app declares it, and nothing of this kind is inherited",
    },
  );
}

function configFile(declared: ConfigDeclaration, recipe: Recipe, context: Context) {
  const { path, reload, unit, position } = declared;
  const at = `${recipe.file}:${position.line}: CONFIG ${path}`;
  const template = readTemplate(declared.template, at, context);
  return { path, template, ...(reload === undefined ? {} : { reload }), ...(unit === undefined ? {} : { unit }) };
}

function readTemplate(name: string, at: string, context: Context): string {
  const entry = context.find(toBinary(name));
  if (entry?.type !== "file") {
    const message = `${at}: expected the template ${name} in the context ${context.directory}, got none`;
    throw new BuildError("source-missing", message, {
      hint: "check the path, and that .dockerignore does not leave it out",
    });
  }
  context.taken.add(entry.path);
  const bytes = readFileSync(entry.file);
  if (!isUtf8(bytes)) {
    throw new BuildError("template", `${at}: template ${name}: expected UTF-8, got other bytes`, {
      hint: `a template is text: iconv -f latin1 -t utf-8 ${name}`,
    });
  }
  const text = bytes.toString();
  if (text.length > TEMPLATE_LIMIT) {
    const message = `${at}: template ${name}: expected at most ${TEMPLATE_LIMIT} characters, got ${text.length}`;
    throw new BuildError("template", message, { hint: "COPY what does not differ from node to node" });
  }
  return checkTemplate(name, text);
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
