import { verb as nodeVerb } from "../hostd/verbs/rollback.ts";
import type { Verb } from "../terminal/verb.ts";

export const verb: Verb = {
  ...nodeVerb,
  examples: ["ostler rollback shop", "ostler rollback shop --to 3 --with-data before-g4"],
};
