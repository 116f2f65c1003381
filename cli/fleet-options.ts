import { join } from "node:path";
import { caller } from "../hostd/client.ts";
import type { Invocation } from "../terminal/verb.ts";
import { homeOption } from "./trust-options.ts";

/** Where the operator's home keeps its nodes and its rollouts. */
export function fleetOf({ options }: Invocation) {
  const { directory, repository, trust } = homeOption(options);
  return {
    inventory: join(directory, "nodes.json"),
    rollouts: join(directory, "rollouts"),
    repository,
    trust,
    by: caller(),
  };
}
