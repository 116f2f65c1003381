import { resolve } from "node:path";
import type { OptionSpec, Verb } from "../../terminal/verb.ts";
import { readOptions } from "../serve.ts";
import { hostdUnit } from "../unit.ts";
import { text } from "./answer.ts";
import { verb as serve, serveOptions } from "./serve.ts";

/** What the unit says by itself. */
const OWN = /^--(state|launcher) /;

const options = (serve.options ?? []).filter(({ flags }) => !flags.startsWith("--launcher "));

export const verb: Verb = {
  name: "unit",
  summary: "print hostd.service for systemd, with these options of hostd serve",
  options,
  examples: [
    "hostd unit --repository https://updates.example/repository --root /etc/hostd/root.json >/etc/systemd/system/hostd.service",
  ],
  async run({ options: given, json }) {
    readOptions(serveOptions({ ...given, launcher: "systemd" })); // what serve refuses makes no unit that could start
    const values = options.filter(({ flags }) => !OWN.test(flags)).flatMap((option) => argumentOf(option, given));
    const unit = hostdUnit(resolve(text(given["state"]) ?? ""), values);
    if (json) return { json: { unit }, text: unit };
    process.stdout.write(unit); // a file it is piped to is the unit itself
    return { json: { unit }, text: unit, streamed: true };
  },
};

/** An option that differs from its default, as a word; paths are made absolute, since a unit has no directory. */
function argumentOf({ flags, default: standard }: OptionSpec, given: Readonly<Record<string, unknown>>): string[] {
  const [, name = "", kind = ""] = /^--([a-z-]+) <(\w+)>$/.exec(flags) ?? [];
  const value = text(given[name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())]);
  if (value === undefined || value === standard) return [];
  const isPath = kind === "dir" || kind === "file" || (kind === "location" && !/^\w+:\/\//.test(value));
  return [`--${name}=${isPath ? resolve(value) : value}`];
}
