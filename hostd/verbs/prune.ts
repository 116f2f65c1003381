import type { PruneDocument } from "../../manifests/care.ts";
import { shortDigest } from "../../manifests/digest.ts";
import type { Answer, Verb } from "../../terminal/verb.ts";
import { clientOf, exitCodeOf, SOCKET_OPTION, text } from "./answer.ts";

export const verb: Verb = {
  name: "prune",
  summary: "collect versions beyond retention now; what runs or is needed to go back is never one of them",
  options: [
    SOCKET_OPTION,
    { flags: "--keep <count>", summary: "newest versions kept per app, instead of hostd's own number" },
    { flags: "--dry-run", summary: "only say what it would be" },
  ],
  examples: ["hostd prune --dry-run", "hostd prune --keep 1"],
  async run(invocation): Promise<Answer> {
    const client = clientOf(invocation);
    const keep = text(invocation.options["keep"]);
    const plan = await client.planPrune(keep);
    if (invocation.options["dryRun"] === true) return { json: plan, text: show(plan, "would collect") };
    const body = keep === undefined ? {} : { keep };
    let exitCode = 0;
    for (const app of (await client.status()).apps.map((status) => status.app)) {
      const begun = await client.begin(app, "prune", body);
      exitCode ||= exitCodeOf(await client.wait(begun, invocation.progress, invocation.signal));
    }
    return { json: plan, text: show(plan, "collected"), exitCode };
  },
};

function show({ collected, layers }: PruneDocument, did: string): string {
  if (collected.length === 0 && layers.length === 0) return `${did} nothing`;
  const versions = collected.map(({ app, version, image }) => `  ${app} ${version} (${shortDigest(image)})`);
  return [`${did} ${count(collected.length, "version")} and ${count(layers.length, "layer")}`, ...versions].join("\n");
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
