import { verb as nodeVerb } from "../hostd/verbs/failure.ts";
import { askedOnNode } from "./on-node.ts";

export const verb = askedOnNode(nodeVerb, ["ostler failure 12 --on web-1"]);
