import { verb as nodeVerb } from "../hostd/verbs/status.ts";
import type { Verb } from "../terminal/verb.ts";

export const verb: Verb = { ...nodeVerb, examples: ["ostler status", "ostler status shop --json"] };
