import { verb as nodeVerb } from "../hostd/verbs/config-diff.ts";
import { askedOnNode } from "./on-node.ts";

export const verb = askedOnNode(nodeVerb, ["ostler config diff shop --on web-1"]);
