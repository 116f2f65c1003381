import { verb as nodeVerb } from "../hostd/verbs/status.ts";
import { askedOnNode } from "./on-node.ts";

export const verb = askedOnNode(nodeVerb, ["ostler status", "ostler status shop --json", "ostler status --on web-1"]);
