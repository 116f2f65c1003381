import type { PruneDocument } from "../../manifests/care.ts";
import { shortDigest } from "../../manifests/digest.ts";
import { EXIT_CODES, Failure } from "../../manifests/failure.ts";
import type { Answer, Verb } from "../../terminal/verb.ts";
import { answerAtEnd, answerOfRefusal, clientOf, SOCKET_OPTION, text } from "./answer.ts";

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
    if (keep !== undefined && !/^[1-9]\d{0,2}$|^1000$/.test(keep)) {
      throw new Failure("usage", "bad-option", `--keep: expected a whole number from 1 to 1000, got ${keep}`);
    }
    const plan = await client.planPrune(keep);
    if (invocation.options["dryRun"] === true) return { json: plan, text: show(plan, "would collect") };
    const body = keep === undefined ? {} : { keep };
    const failed: Answer[] = [];
    for (const app of (await client.status()).apps.map((status) => status.app)) {
      const begun = await client.begin(app, "prune", body).catch(answerOfRefusal(app));
      const answer = "json" in begun ? begun : await answerAtEnd(client, begun, invocation);
      if (answer.exitCode !== EXIT_CODES.ok) failed.push(answer);
    }
    const done = without(plan, await client.planPrune(keep));
    return {
      json: done,
      text: [show(done, "collected"), ...failed.map((answer) => answer.text)].join("\n"),
      exitCode: Math.max(EXIT_CODES.ok, ...failed.map(({ exitCode }) => exitCode ?? EXIT_CODES.ok)),
    };
  },
};

/** What was to go and is gone. */
function without({ schema, collected, layers }: PruneDocument, left: PruneDocument): PruneDocument {
  const stayed = new Set(left.collected.map(({ app, image }) => `${app} ${image}`));
  return {
    schema,
    collected: collected.filter(({ app, image }) => !stayed.has(`${app} ${image}`)),
    layers: layers.filter((root) => !left.layers.includes(root)),
  };
}

function show({ collected, layers }: PruneDocument, did: string): string {
  if (collected.length === 0 && layers.length === 0) return `${did} nothing`;
  const versions = collected.map(({ app, version, image }) => `  ${app} ${version} (${shortDigest(image)})`);
  return [`${did} ${count(collected.length, "version")} and ${count(layers.length, "layer")}`, ...versions].join("\n");
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
