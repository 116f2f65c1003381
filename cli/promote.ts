import { join } from "node:path";
import { promote } from "../builder/promote/promote.ts";
import { shortDigest } from "../manifests/digest.ts";
import { Failure } from "../manifests/failure.ts";
import { table } from "../terminal/table.ts";
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
  name: "promote",
  summary: "release a green image into a channel, bit for bit",
  arguments: [{ name: "<image>", summary: "name, name:tag, digest or start of a digest" }],
  options: [
    { flags: "--to <channel>", summary: "channel to release into", default: "production" },
    { flags: "--version <version>", summary: "version of the release (default: the image's label, else its sequence)" },
    { flags: "--set <name=value...>", summary: "values for the image's CONFIG; others stay as they were" },
    repositoryOption,
    passphraseOption,
  ],
  examples: ["ostler promote shop --to production", "ostler promote shop --version 1.2.0 --set greeting=hello"],
  async run({ arguments: [image], options, progress }) {
    const home = homeOption(options);
    const { changed, release, previous, unread } = await promote({
      home,
      store: join(home.directory, "store"),
      reference: referenceOf(image),
      channel: stringOption(options, "to") ?? "production",
      version: stringOption(options, "version"),
      values: parseValues(options["set"]),
      sealer: await sealerOption(options),
      progress,
      now: new Date(),
    });
    const before = previous === undefined ? "none" : `${previous.sequence} (${previous.version})`;
    const row = [release.product, release.channel, String(release.sequence), release.version, before];
    const text = table(
      ["PRODUCT", "CHANNEL", "SEQUENCE", "VERSION", "BEFORE", "IMAGE"],
      [[...row, shortDigest(release.image.digest)]],
    );
    const note = changed ? "" : "nothing to do: the channel already has this image with these values\n";
    const warnings = unread
      .map((name) => `warning: --set ${name}: no CONFIG template of the image reads it\n`)
      .join("");
    const json = { schema: 1, changed, release, previous: previous ?? null, unread };
    return { json, text: `${warnings}${note}${text}` };
  },
};

function parseValues(given: unknown): Record<string, string> {
  const values = Array.isArray(given) ? given.map(String) : [];
  return Object.fromEntries(
    values.map((value) => {
      const at = value.indexOf("=");
      if (at > 0) return [value.slice(0, at), value.slice(at + 1)] as const;
      throw new Failure("usage", "set-value", `--set: expected name=value, got ${JSON.stringify(value)}`);
    }),
  );
}
