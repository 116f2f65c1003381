import { verb as nodeVerb } from "../hostd/verbs/config-history.ts";
import { askedOnNode } from "./on-node.ts";

export const verb = askedOnNode(nodeVerb, ["ostler config history --on web-1"]);
