import { type Spread, spreadLayer } from "../fleet/config/spread.ts";
import { argument } from "../hostd/verbs/answer.ts";
import { appsToApply } from "../hostd/verbs/config-apply.ts";
import { verb as nodeVerb, readLayerText } from "../hostd/verbs/config-set.ts";
import { EXIT_CODES } from "../manifests/failure.ts";
import { table } from "../terminal/table.ts";
import { acrossNodes } from "./on-node.ts";

const about = {
  summary:
    "set a layer of config to a YAML or JSON file, here or on many nodes; nothing that runs changes before it is applied",
  examples: ["ostler config set node node.yaml", "ostler config set group web.yaml --on web"],
};

export const verb = acrossNodes(nodeVerb, about, async (invocation, nodes) => {
  const [layer, file] = [argument(invocation, 0), argument(invocation, 1)];
  const spread = await spreadLayer(nodes, { layer, file, text: await readLayerText(layer, file) }, invocation.signal);
  const rows = spread.map((one) => row(layer, one));
  return {
    json: { schema: 1, layer, nodes: spread.map((one) => toDocument(layer, one)) },
    text: [table(["NODE", "LAYER", "DIGEST", "REVISION", "TO APPLY"], rows), ...spread.flatMap(warningLines)].join(
      "\n",
    ),
    exitCode: spread.every((one) => "config" in one) ? EXIT_CODES.ok : EXIT_CODES.failed,
  };
});

/** What a node says of values that none of its templates reads. */
function warningLines(one: Spread): string[] {
  return "problem" in one ? [] : one.config.warnings.map((warning) => `${one.node.name}: ${warning}`);
}

function toDocument(layer: string, one: Spread) {
  const node = one.node.name;
  if ("problem" in one) return { node, problem: one.problem };
  const { revision, warnings } = one.config;
  return { node, revision, digest: digestOf(layer, one), warnings, apply: appsToApply(one.config.apps) };
}

function row(layer: string, one: Spread): string[] {
  if ("problem" in one) return [one.node.name, layer, "", "", `not set: ${one.problem}`];
  const apps = appsToApply(one.config.apps);
  const { revision } = one.config;
  return [one.node.name, layer, digestOf(layer, one).slice(0, 12), String(revision), apps.join(", ") || "none"];
}

function digestOf(layer: string, { config }: Extract<Spread, { config: unknown }>): string {
  return config.layers.find((one) => one.layer === layer)?.digest ?? "";
}
