import { homedir } from "node:os";
import { join } from "node:path";

/** Where the operator's state is kept unless `--home` says otherwise (docs/architecture.md, "The operator's home"). */
export function homeDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const { OSTLER_HOME: own, XDG_DATA_HOME: data } = environment;
  return own ?? join(data ?? join(homedir(), ".local", "share"), "ostler");
}
