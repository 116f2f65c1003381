import { join } from "node:path";
import { openBuiltStore } from "../builder/promote/open-store.ts";
import { changePolicy, withRevoked } from "../builder/promote/policy.ts";
import { isDigest, shortDigest } from "../manifests/digest.ts";
import { Failure } from "../manifests/failure.ts";
import type { Verb } from "../terminal/verb.ts";
import {
  homeOption,
  passphraseOption,
  referenceOf,
  repositoryOption,
  sealerOption,
  stringOption,
} from "./trust-options.ts";

export const verb: Verb = {
  name: "revoke",
  summary: "publish that an image may go to no node any more; `ostler policy` takes that back",
  arguments: [{ name: "<image>", summary: "name, digest or start of a digest" }],
  options: [
    { flags: "--reason <text>", summary: "why, for whoever is refused it" },
    repositoryOption,
    passphraseOption,
  ],
  examples: ['ostler revoke 1ff5a5ad0c12 --reason "sends orders twice"'],
  async run({ arguments: [image], options }) {
    const home = homeOption(options);
    const reason = stringOption(options, "reason")?.trim();
    if (!reason) throw new Failure("usage", "revoke", "expected --reason with a text: why may it run nowhere?");
    const reference = referenceOf(image);
    const digest = isDigest(reference)
      ? reference
      : (await (await openBuiltStore(join(home.directory, "store"))).resolve(reference)).digest;
    const sealer = await sealerOption(options);
    const change = { home, sealer, now: new Date() };
    const { changed } = await changePolicy({ ...change, change: (policy) => withRevoked(policy, digest, reason) });
    const word = changed ? "revoked" : "was revoked before, for that reason";
    return { json: { schema: 1, changed, image: digest, reason }, text: `${shortDigest(digest)}: ${word}: ${reason}` };
  },
};
