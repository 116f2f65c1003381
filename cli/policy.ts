import { readFile } from "node:fs/promises";
import { changePolicy, readPolicy } from "../builder/promote/policy.ts";
import { unlessMissing } from "../effects/errno.ts";
import { Failure } from "../manifests/failure.ts";
import { parsePolicy } from "../manifests/policy.ts";
import type { Verb } from "../terminal/verb.ts";
import { homeOption, passphraseOption, repositoryOption, sealerOption } from "./trust-options.ts";

export const verb: Verb = {
  name: "policy",
  summary: "show which keys build and test, what channels require, floors and what is revoked; or publish another",
  arguments: [{ name: "[file]", summary: "the policy to publish, as JSON; without it the one in force is shown" }],
  options: [repositoryOption, passphraseOption],
  examples: ["ostler policy > policy.json", "ostler policy policy.json"],
  async run({ arguments: [file], options }) {
    const home = homeOption(options);
    const now = new Date();
    if (typeof file !== "string") {
      const policy = await readPolicy({ home, now });
      return { json: policy, text: JSON.stringify(policy, undefined, 2) };
    }
    const bytes = await unlessMissing(readFile(file));
    if (bytes === undefined) {
      throw new Failure("usage", "policy-file", `${file}: expected a policy, found no file`, {
        hint: "`ostler policy > FILE` writes the one in force",
      });
    }
    const wanted = parsePolicy(bytes);
    const sealer = await sealerOption(options);
    const { changed } = await changePolicy({ home, sealer, now, change: () => wanted });
    return {
      json: { schema: 1, changed, policy: wanted },
      text: changed
        ? `published: nodes follow it from their next look at ${home.repository} on`
        : "it is in force already",
    };
  },
};
