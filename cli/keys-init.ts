import { join } from "node:path";
import { initHome, readKeys } from "../keys/authority.ts";
import { shortKeyid } from "../keys/ed25519.ts";
import { table } from "../terminal/table.ts";
import type { Verb } from "../terminal/verb.ts";
import { homeOption, passphraseOption, repositoryOption, sealerOption } from "./trust-options.ts";

const UNSEALED = "the keys are not sealed: only a first `ostler keys init` with --passphrase-file seals them";

export const verb: Verb = {
  name: "keys init",
  summary: "make the keys of every role and the repository that they sign",
  options: [passphraseOption, repositoryOption],
  examples: ["ostler keys init", "ostler keys init --passphrase-file ~/.ostler-passphrase"],
  async run({ options }) {
    const home = homeOption(options);
    const made = await initHome(home, await sealerOption(options), new Date());
    const keys = await readKeys(home.keys);
    const root = join(home.repository, "metadata/1.root.json");
    return {
      json: {
        schema: 1,
        made,
        keys: keys.map(({ role, key, path, sealed }) => ({ role, keyid: key.keyid, file: path, sealed })),
        repository: home.repository,
        root,
      },
      text: [
        table(
          ["ROLE", "KEY", "FILE"],
          keys.map(({ role, key, path }) => [role, shortKeyid(key.keyid), path]),
        ),
        "",
        `repository: ${home.repository}`,
        `nodes are seeded with: ${root}`,
        ...(keys.some(({ sealed }) => sealed) ? [] : [UNSEALED]),
      ].join("\n"),
    };
  },
};
