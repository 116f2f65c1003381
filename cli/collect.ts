import { verb as nodeVerb } from "../hostd/verbs/collect.ts";
import { askedOnNode } from "./on-node.ts";

export const verb = askedOnNode(nodeVerb, ["ostler collect --on web-1 --json"]);
