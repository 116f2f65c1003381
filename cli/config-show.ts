import { verb as nodeVerb } from "../hostd/verbs/config-show.ts";
import { askedOnNode } from "./on-node.ts";

export const verb = askedOnNode(nodeVerb, ["ostler config show shop --origin --on web-1"]);
