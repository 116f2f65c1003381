import { bringingBack, rollbackHere, rollbackRequest } from "../hostd/verbs/rollback.ts";
import { verb as stage, stageRequest } from "../hostd/verbs/stage.ts";
import { begunOnNode } from "./on-node.ts";

const examples = [
  "ostler rollback shop",
  "ostler rollback shop --to 3 --with-data before-g4",
  "ostler rollback shop --on web-1",
];

export const verb = bringingBack(
  begunOnNode(rollbackHere, examples, rollbackRequest),
  begunOnNode(stage, [], stageRequest),
);
