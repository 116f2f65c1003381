import { join } from "node:path";
import { markImage } from "../builder/ci/mark.ts";
import { describeUnnamed } from "../builder/ci/unnamed.ts";
import { shortKeyid } from "../keys/ed25519.ts";
import { shortDigest } from "../manifests/digest.ts";
import { Failure } from "../manifests/failure.ts";
import type { Verb } from "../terminal/verb.ts";
import { homeOption, passphraseOption, referenceOf, sealerOption, stringOption } from "./trust-options.ts";

export const verb: Verb = {
  name: "mark",
  summary: "record a person's verdict about an image, signed by the tester key",
  arguments: [{ name: "<image>", summary: "name, digest or start of a digest" }],
  options: [
    { flags: "--green", summary: "it is good" },
    { flags: "--red", summary: "it is no good: promote refuses it until a newer green mark" },
    { flags: "--reason <text>", summary: "why, as its one test" },
    passphraseOption,
  ],
  examples: ['ostler mark shop --red --reason "the checkout page is blank"'],
  async run({ arguments: [image], options }) {
    const home = homeOption(options);
    const [isGreen, isRed] = [options["green"] === true, options["red"] === true];
    if (isGreen === isRed) throw new Failure("usage", "mark", "expected one of --green and --red");
    const reason = stringOption(options, "reason")?.trim();
    if (!reason) throw new Failure("usage", "mark", "expected --reason with a text: why is it what you say?");
    const mark = isGreen ? "green" : "red";
    const sealer = await sealerOption(options);
    const store = join(home.directory, "store");
    const marked = await markImage({ home, store, reference: referenceOf(image), mark, reason, sealer });
    const verdict = `${mark}: ${shortDigest(marked.image)} by tester key ${shortKeyid(marked.keyid)}: ${reason}`;
    return {
      json: { schema: 1, image: marked.image, mark, reason, keyid: marked.keyid, unnamed: marked.unnamed },
      text: [verdict, ...marked.unnamed.map(describeUnnamed)].join("\n"),
    };
  },
};
