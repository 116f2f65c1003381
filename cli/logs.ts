import { verb as nodeVerb } from "../hostd/verbs/logs.ts";
import { askedOnNode } from "./on-node.ts";

export const verb = askedOnNode(nodeVerb, ["ostler logs shop --on web-1", "ostler logs shop --on web-1 --slot 1.4.0"]);
