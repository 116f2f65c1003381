import { readFile } from "node:fs/promises";
import { hasErrno } from "../../effects/errno.ts";
import { Failure } from "../../manifests/failure.ts";
import type { Verb } from "../../terminal/verb.ts";
import { argument, clientOf, SOCKET_OPTION } from "./answer.ts";
import { readInput } from "./input.ts";
import { driftLines } from "./show-config.ts";

export const verb: Verb = {
  name: "config set",
  summary: "set a layer of this node's config to a YAML or JSON file; nothing that runs changes before it is applied",
  arguments: [
    { name: "<layer>", summary: "global, site, group, node or app/NAME, the weakest first" },
    { name: "<file>", summary: "the whole layer; - reads standard input" },
  ],
  options: [SOCKET_OPTION],
  examples: ["hostd config set site site.yaml", "hostd config set app/shop shop.yaml"],
  async run(invocation) {
    const [layer, file] = [argument(invocation, 0), argument(invocation, 1)];
    const config = await clientOf(invocation).setLayer(layer, file, await readLayerText(layer, file));
    return {
      json: config,
      text: [`revision ${config.revision}`, ...config.warnings, ...driftLines(config)].join("\n"),
    };
  },
};

/** The text of a layer's file, or of standard input for `-`. */
export async function readLayerText(layer: string, file: string): Promise<string> {
  if (file === "-") return await readInput();
  const bytes = await readFile(file).catch((cause: unknown) => {
    if (!hasErrno(cause, "ENOENT", "EISDIR")) throw cause;
    const found = hasErrno(cause, "EISDIR") ? "a directory" : "none";
    throw new Failure("usage", "file-missing", `${file}: expected a file, found ${found}`, {
      cause,
      hint: `hostd config set ${layer} FILE takes one YAML or JSON document, - reads it from standard input`,
    });
  });
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Failure("usage", "not-text", `${file}: expected UTF-8 text`, { cause });
  }
}
