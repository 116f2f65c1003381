import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { unlessMissing } from "../effects/errno.ts";
import type { Settings } from "../fleet/install/install.ts";
import { seedPath } from "../keys/truststate.ts";
import { Failure } from "../manifests/failure.ts";
import type { OptionSpec } from "../terminal/verb.ts";
import { stringOption } from "./trust-options.ts";

type Options = Readonly<Record<string, unknown>>;

export const bundleOption: OptionSpec = {
  flags: "--bundle <dir>",
  summary: "the hostd to install, as npm run bundle made it (default: of these sources)",
};

/** The directory of `--bundle`; undefined where this one's own hostd is meant. */
export function bundleOf(options: Options): string | undefined {
  const directory = stringOption(options, "bundle");
  return directory === undefined ? undefined : resolve(directory);
}

/** What a machine is told at its first installation. Refuses words that a systemd unit would take apart, and a home without a root. */
export async function settingsOf(options: Options, trust: string): Promise<Settings> {
  const root = await unlessMissing(readFile(seedPath(trust), "utf8"));
  if (root === undefined) {
    throw new Failure("usage", "not-seeded", `${trust}: expected the root of trust that nodes start from, found none`, {
      hint: "ostler keys init makes keys and a repository; --home names another home",
    });
  }
  const [repository, channel] = [word(options, "remote"), word(options, "channel")];
  if (!/^(?:\/|\w+:\/\/)/.test(repository)) {
    throw new Failure("usage", "bad-option", `--remote: expected a URL or an absolute path, got ${repository}`);
  }
  return { repository, channel, root };
}

function word(options: Options, name: string): string {
  const value = stringOption(options, name) ?? "";
  if (/^[\w@:/.,=+~[\]-]+$/.test(value) && !value.startsWith("-")) return value;
  throw new Failure(
    "usage",
    "bad-option",
    `--${name}: expected a word without blanks and quotes, got ${JSON.stringify(value)}`,
  );
}
