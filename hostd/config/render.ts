import type { ConfigFile } from "../../manifests/app.ts";
import { HostdError } from "../error.ts";

const PLACEHOLDER = /\{\{\s*([A-Za-z_][\w.-]*)\s*\}\}/g;

/**
 * The image's config files with declared values put in for `{{ name }}`. Refuses a template that names a value nobody
 * declared, naming every such place as file:line.
 */
export function renderConfig(
  files: readonly ConfigFile[],
  declared: Readonly<Record<string, string>>,
): { path: string; bytes: string }[] {
  const missing = files.flatMap((file) => missingIn(file, declared));
  if (missing.length > 0) {
    throw new HostdError("config-value", `expected a declared value for ${missing.join(", ")}`, {
      hint: "declare it with the release: ostler promote --set name=value",
      details: { missing },
    });
  }
  return files.map((file) => ({
    path: file.path,
    bytes: file.template.replace(PLACEHOLDER, (_, name: string) => declared[name] ?? ""),
  }));
}

function missingIn(file: ConfigFile, declared: Readonly<Record<string, string>>): string[] {
  return file.template.split("\n").flatMap((line, index) =>
    [...line.matchAll(PLACEHOLDER)]
      .map((match) => match[1] ?? "")
      .filter((name) => !Object.hasOwn(declared, name))
      .map((name) => `{{ ${name} }} at ${file.path}:${index + 1}`),
  );
}
