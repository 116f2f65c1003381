import type { ConfigFile, Signal } from "../../manifests/app.ts";
import { isRead, type Placeholder, parseTemplate, SECRET } from "../../manifests/template.ts";
import { nearest } from "../../terminal/nearest.ts";
import { HostdError } from "../error.ts";
import { type Effective, mapAt } from "./merge.ts";

/** Characters of one file: a value put in again and again must not fill the memory. */
const FILE_LIMIT = 1024 * 1024;

export interface Rendered {
  path: string;
  bytes: string;
  /** A secret is in it. */
  secret: boolean;
  /** What tells the app that the file is another one; without it the app is started again. */
  reload?: Signal;
  /** Of a host: the unit that is told. */
  unit?: string;
}

/** What stands in for `{{ secret.NAME }}`: the secret itself, or what is shown in its place. */
export type SecretOf = (name: string) => string | undefined;

/**
 * An image's config files with the values that hold. Refuses what a template names and no layer has, naming every such
 * place as file:line:column, and what cannot be written as text.
 */
export function renderConfig(
  app: string,
  files: readonly ConfigFile[],
  values: Effective,
  secretOf: SecretOf,
): Rendered[] {
  const problems: string[] = [];
  const missing: string[] = [];
  const rendered = files.map((file): Rendered => {
    let [bytes, secret] = ["", false];
    for (const piece of piecesOf(file)) {
      const text = typeof piece === "string" ? piece : fill(piece, values, secretOf);
      if (typeof text !== "string") {
        const at = typeof piece === "string" ? "" : `${file.path}:${piece.line}:${piece.column}`;
        problems.push(`{{ ${text.path} }} at ${at}${text.why}`);
        if (text.why === "") missing.push(text.path);
        continue;
      }
      bytes += text;
      secret ||= typeof piece !== "string" && secretName(piece.path) !== undefined;
      if (bytes.length > FILE_LIMIT) {
        throw new HostdError("config-value", `${file.path}: expected at most ${FILE_LIMIT} characters`);
      }
    }
    const { path, reload, unit } = file;
    return {
      path,
      bytes,
      secret,
      ...(reload === undefined ? {} : { reload }),
      ...(unit === undefined ? {} : { unit }),
    };
  });
  if (problems.length === 0) return rendered;
  throw new HostdError("config-value", `expected a value for ${problems.join(", ")}`, {
    hint: hintFor(app, missing, values),
    details: { missing: problems },
  });
}

/** Every path that the templates name. */
export function pathsIn(files: readonly ConfigFile[]): Set<string> {
  const found = files.flatMap((file) => piecesOf(file));
  return new Set(found.flatMap((piece) => (typeof piece === "string" ? [] : [piece.path])));
}

/** Values that none of these paths reads: neither by name nor in a map written whole. */
export function unusedIn(values: Effective, paths: ReadonlySet<string>): string[] {
  return [...values.keys()].filter((name) => !isRead(name, paths));
}

/** `NAME` of `secret.NAME`. */
export function secretName(path: string): string | undefined {
  return path.startsWith(`${SECRET}.`) ? path.slice(SECRET.length + 1) : undefined;
}

function piecesOf(file: ConfigFile): (string | Placeholder)[] {
  try {
    return parseTemplate(file.template);
  } catch (cause) {
    const at = cause as { line?: number; column?: number; message: string };
    throw new HostdError("config-value", `${file.path}:${at.line}:${at.column}: ${at.message}`, { cause });
  }
}

function fill(piece: Placeholder, values: Effective, secretOf: SecretOf): string | { path: string; why: string } {
  const { path, json } = piece;
  const secret = secretName(path);
  const value = secret === undefined ? values.get(path)?.value : secretOf(secret);
  const map = value === undefined && secret === undefined ? mapAt(values, path) : undefined;
  const found = value ?? (map === undefined && secret === undefined ? piece.fallback : undefined);
  if (json && (found ?? map) !== undefined) return JSON.stringify(found ?? map);
  if (map !== undefined) return { path, why: ` (a map: write one of its values, or {{ ${path} | json }})` };
  if (Array.isArray(found)) return { path, why: ` (a list: write {{ ${path} | json }})` };
  return found === undefined ? { path, why: "" } : String(found);
}

function hintFor(app: string, missing: readonly string[], values: Effective): string {
  const secrets = missing.flatMap((path) => secretName(path) ?? []);
  const value = missing.find((path) => secretName(path) === undefined);
  return [
    ...(value === undefined ? [] : [hintForValue(app, value, values)]),
    ...secrets.map((name) => `hostd secret set ${name} reads it from standard input`),
  ].join("; ");
}

function hintForValue(app: string, path: string, values: Effective): string {
  const meant = nearest(path, values.keys());
  const other = meant === undefined ? undefined : values.get(meant);
  if (other !== undefined) return `did you mean ${meant}, of ${other.layer} (${other.file}:${other.line})?`;
  return `put ${path} into the layer of the app, hostd config set app/${app} FILE, or declare it with the release, ostler promote --set`;
}
