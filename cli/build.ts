import type { BuildOptions, BuildResult } from "../builder/build.ts";
import type { SecretSource } from "../builder/step/shop.ts";
import { shortDigest } from "../manifests/digest.ts";
import { Failure } from "../manifests/failure.ts";
import { bytes, table } from "../terminal/table.ts";
import type { Answer, Invocation, Verb } from "../terminal/verb.ts";

export const verb: Verb = {
  name: "build",
  summary: "build a recipe into an image of the store",
  arguments: [{ name: "<recipe>", summary: "recipe file: shop.recipe" }],
  options: [
    { flags: "--context <dir>", summary: "directory that COPY reads (default: the recipe's own)" },
    { flags: "--update", summary: "ask every FROM again and move the recipe's lock" },
    { flags: "--locked", summary: "refuse a missing lock and a base that is not the pinned one (CI)" },
    { flags: "--explain", summary: "say for every step that was made anew which input moved" },
    { flags: "--verify", summary: "build a second time with an empty cache and show the first difference" },
    { flags: "--no-cache", summary: "make every step anew" },
    { flags: "--compression <kind>", summary: "of layers", default: "zstd", choices: ["zstd", "gzip"] },
    { flags: "--build-arg <name=value...>", summary: "value of an ARG" },
    { flags: "--uki-key <file>", summary: "of a host image: key that signs it for Secure Boot (PEM)" },
    { flags: "--uki-cert <file>", summary: "certificate of that key, which the firmware's db holds (PEM)" },
    { flags: "--secret <id=..,src=..|env=...>", summary: "value of a --mount=type=secret" },
  ],
  examples: [
    "ostler build recipes/shop/shop.recipe",
    "ostler build shop.recipe --explain",
    "ostler build shop.recipe --secret id=token,env=TOKEN",
  ],
  async run(invocation) {
    const { build } = await import("../builder/build.ts");
    const options = buildOptions(invocation);
    const result = await build(options);
    if (invocation.options["verify"] !== true) return answer(result, invocation.options["explain"] === true);
    const { verifyBuild } = await import("../builder/verify.ts");
    const verdict = await verifyBuild(result, options);
    const told = answer(result, invocation.options["explain"] === true);
    return {
      json: { ...(told.json as object), verified: verdict },
      text: `${told.text}\n${verdict.text}`,
      exitCode: verdict.same ? 0 : 1,
    };
  },
};

/** The options of a build as `ostler build` and `ostler ci` take them. */
export function buildOptions({ arguments: [recipe], options, progress, signal }: Invocation): BuildOptions {
  return {
    recipeFile: String(recipe),
    home: String(options["home"]),
    context: options["context"] as string | undefined,
    update: options["update"] === true,
    locked: options["locked"] === true,
    noCache: options["cache"] === false,
    compression: options["compression"] as "zstd" | "gzip" | undefined,
    args: Object.fromEntries(list(options["buildArg"]).map(parseArgument)),
    secrets: Object.fromEntries(list(options["secret"]).map(parseSecret)),
    ukiSigner: ukiSigner(options["ukiKey"], options["ukiCert"]),
    progress,
    signal,
  };
}

function ukiSigner(key: unknown, certificate: unknown): BuildOptions["ukiSigner"] {
  if (key === undefined && certificate === undefined) return undefined;
  if (key !== undefined && certificate !== undefined) return { key: String(key), certificate: String(certificate) };
  throw new Failure("usage", "bad-option", "--uki-key: expected --uki-cert with it, got one of the two");
}

function list(value: unknown): string[] {
  return value === undefined ? [] : Array.isArray(value) ? value.map(String) : [String(value)];
}

function parseArgument(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at <= 0)
    throw new Failure("usage", "bad-option", `--build-arg: expected NAME=VALUE, got ${JSON.stringify(text)}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** `id=token,src=FILE` or `id=token,env=NAME`. */
function parseSecret(text: string): [string, SecretSource] {
  const fields = Object.fromEntries(
    text.split(",").map((field) => [field.split("=", 1)[0], field.slice(field.indexOf("=") + 1)]),
  );
  const { id, src = fields["source"], env } = fields;
  if (id !== undefined && src !== undefined) return [id, { file: src }];
  if (id !== undefined && env !== undefined) return [id, { env }];
  throw new Failure(
    "usage",
    "bad-option",
    `--secret: expected id=NAME,src=FILE or id=NAME,env=NAME, got ${JSON.stringify(text)}`,
  );
}

function answer(result: BuildResult, explain: boolean): Answer {
  const { tree: _tree, tests, ...document } = result;
  const made = result.steps.filter((step) => !step.cached);
  const lines = result.layers.map(({ section, digest, size, reused }) => {
    return [section, shortDigest(digest), bytes(size), reused ? "reused" : "new"];
  });
  if (result.boot !== undefined) {
    const { uki, kernel } = result.boot;
    lines.push(["boot", shortDigest(uki.digest), bytes(uki.size), `kernel ${kernel}`]);
  }
  const reasons = result.steps.map((step) => `[${step.index}/${step.total}] ${step.missed ?? "cached"}  ${step.text}`);
  const text = [
    ...result.warnings.map((warning) => `warning: ${warning}`),
    `${result.reference}  ${result.descriptor.digest}`,
    table(["LAYER", "DIGEST", "SIZE", ""], lines),
    ...(explain ? reasons : []),
    `${made.length} of ${result.steps.length} steps made, ${(result.took / 1000).toFixed(2)} s`,
  ];
  return { json: { schema: 1, ...document, tests: tests.map(({ name }) => name) }, text: text.join("\n") };
}
