import { verb as nodeVerb, rollbackRequest } from "../hostd/verbs/rollback.ts";
import { begunOnNode } from "./on-node.ts";

export const verb = begunOnNode(
  nodeVerb,
  ["ostler rollback shop", "ostler rollback shop --to 3 --with-data before-g4", "ostler rollback shop --on web-1"],
  rollbackRequest,
);
