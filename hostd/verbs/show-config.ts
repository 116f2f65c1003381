import type { AppConfig, ConfigDiff, ConfigHistory, NodeConfig } from "../../manifests/config.ts";
import { table } from "../../terminal/table.ts";
import { when } from "./show.ts";

// How the config of a node is shown to people.

/** Values that hold, with their origins where asked; then layers or secrets, and what runs with something else. */
export function showNodeConfig(config: NodeConfig, origin: boolean): string {
  const layers = config.layers.map(({ layer, file, revision, by, at, digest }) => [
    layer,
    String(revision),
    digest.slice(0, 12),
    when(at),
    by,
    file,
  ]);
  return blocks([
    config.layers.length === 0
      ? "no layers: hostd config set LAYER FILE sets one"
      : table(["LAYER", "REVISION", "DIGEST", "SET", "BY", "FILE"], layers),
    valueTable(config.values, origin),
    config.secrets.length === 0 ? "" : `secrets: ${config.secrets.map(({ name }) => name).join(", ")}`,
    driftLines(config).join("\n"),
  ]);
}

export function showAppConfig({ app, values, secrets, config }: AppConfig, origin: boolean): string {
  const rows = secrets.map(({ name, revision, used }) => [name, String(revision), used ? "" : "no template reads it"]);
  return blocks([
    valueTable(values, origin),
    secrets.length === 0 ? "" : table(["SECRET", "REVISION", ""], rows),
    config === undefined ? "" : driftLines({ apps: [{ app, config }] }).join("\n"),
  ]);
}

export function showDiff({ app, version, from, to, how, files }: ConfigDiff): string {
  if (files.length === 0) return `${app}: no file would change`;
  const head = version === undefined ? `${app}: revision ${to}` : `${app}: config ${version}, revision ${from} → ${to}`;
  return [`${head}; ${app} ${HOW[how]}`, ...files.map(({ diff }) => diff)].join("\n");
}

const HOW: Record<ConfigDiff["how"], string> = {
  nothing: "notices nothing",
  reload: "is told by a signal",
  restart: "is started again",
  start: "is started with it",
  live: "gets it while it runs; units that read it are told, the rest has it after a reboot",
};

export function showHistory({ changes }: ConfigHistory): string {
  if (changes.length === 0) return "nothing was ever set";
  const rows = changes.map(({ revision, kind, subject, digest, at, by, file }) => [
    String(revision),
    when(at),
    kind === "layer" ? subject : `secret ${subject}`,
    kind === "layer" ? (digest ?? "").slice(0, 12) : digest === undefined ? "forgotten" : "set",
    by,
    file ?? "",
  ]);
  return table(["REVISION", "WHEN", "WHAT", "DIGEST", "BY", "FILE"], rows);
}

/** Apps that run with something else than the layers say. */
export function driftLines({ apps }: Pick<NodeConfig, "apps">): string[] {
  return apps.flatMap(({ app, config }) => {
    if (config === undefined || config.drift.length === 0) return [];
    const why = config.problem === undefined ? "" : ` (${config.problem})`;
    return [
      `${app} runs with revision ${config.applied}, declared is ${config.declared}: ${config.drift.join(", ")}${why}`,
      `  hostd config diff ${app} shows it, hostd config apply ${app} switches`,
    ];
  });
}

function valueTable(values: AppConfig["values"], origin: boolean): string {
  if (values.length === 0) return "";
  const rows = values.map(({ path, value, layer, file, line, used }) => [
    path,
    JSON.stringify(value),
    ...(origin ? [layer, line === 0 ? file : `${file}:${line}`] : []),
    used ? "" : "no template reads it",
  ]);
  return table(["VALUE", "IS", ...(origin ? ["LAYER", "FROM"] : []), ""], rows);
}

function blocks(parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join("\n\n");
}
