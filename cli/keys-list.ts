import { readKeys } from "../keys/authority.ts";
import { shortKeyid } from "../keys/ed25519.ts";
import { TrustError } from "../keys/error.ts";
import { table } from "../terminal/table.ts";
import type { Verb } from "../terminal/verb.ts";
import { homeOption } from "./trust-options.ts";

export const verb: Verb = {
  name: "keys list",
  summary: "show the keys of this home: role, name, file, sealed or not",
  examples: ["ostler keys list"],
  async run({ options }) {
    const { keys: directory } = homeOption(options);
    const keys = await readKeys(directory);
    if (keys.length === 0) {
      throw new TrustError("key-missing", `${directory}: expected key files, got none`, {
        hint: "`ostler keys init` makes them; --home names another home",
      });
    }
    return {
      json: {
        schema: 1,
        keys: keys.map(({ role, key, path, sealed, created }) => {
          return { role, keyid: key.keyid, public: key.hex, file: path, sealed, created };
        }),
      },
      text: table(
        ["ROLE", "KEY", "SEALED", "CREATED", "FILE"],
        keys.map((file) => {
          const { role, key, path, sealed, created } = file;
          return [role, shortKeyid(key.keyid), sealed ? "yes" : "no", created.slice(0, 10), path];
        }),
      ),
    };
  },
};
