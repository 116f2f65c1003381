import { readFile } from "node:fs/promises";
import { hasErrno } from "../effects/errno.ts";
import { type Home, homeOf } from "../keys/authority.ts";
import { TrustError } from "../keys/error.ts";
import type { Sealer } from "../keys/seal.ts";
import type { Invocation, OptionSpec } from "../terminal/verb.ts";
import { homeDirectory } from "./home.ts";

type Options = Invocation["options"];

export const passphraseOption: OptionSpec = {
  flags: "--passphrase-file <file>",
  summary: "file with the passphrase that seals the keys (or OSTLER_PASSPHRASE_FILE)",
};

export const repositoryOption: OptionSpec = {
  flags: "--repository <dir>",
  summary: "the repository that nodes read (default: repository in the home)",
};

/** The home that `--home` and `--repository` name. */
export function homeOption(options: Options): Home & { directory: string } {
  const directory = stringOption(options, "home") ?? homeDirectory();
  return { directory, ...homeOf(directory, stringOption(options, "repository")) };
}

/** The sealer of `--passphrase-file`; undefined where no passphrase is given. */
export async function sealerOption(options: Options): Promise<Sealer | undefined> {
  const file = stringOption(options, "passphraseFile") ?? process.env["OSTLER_PASSPHRASE_FILE"];
  if (file === undefined) return undefined;
  const { openSealer } = await import("../keys/seal.ts");
  return openSealer((await readPassphrase(file)).replace(/\r?\n$/, ""));
}

export function stringOption(options: Options, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}

/** The image that an argument names: in `name@digest` the digest decides. */
export function referenceOf(argument: string | string[] | undefined): string {
  const text = typeof argument === "string" ? argument : "";
  return text.slice(text.indexOf("@") + 1);
}

async function readPassphrase(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (!hasErrno(error, "ENOENT", "EACCES", "EISDIR")) throw error;
    throw new TrustError("passphrase-missing", `${file}: expected a file with a passphrase, got ${error.code}`);
  }
}
