import type { AppStatus, HealthVerdict, StatusDocument } from "../../manifests/node.ts";

/** One word for a node: red where it has a problem or an app is sick or kept stopped, unknown while one is judged or was not looked at. */
export function verdictOf({ apps, problems }: Judged): HealthVerdict {
  if (problems.length > 0) return "red";
  const running = apps.filter(({ current, hold }) => current !== undefined || hold !== undefined);
  if (running.some(({ health }) => health === "unhealthy" || health === "stopped")) return "red";
  return running.every(({ health }) => health === "healthy") ? "green" : "unknown";
}

interface Judged extends Pick<StatusDocument, "problems"> {
  apps: readonly Pick<AppStatus, "health" | "current" | "hold">[];
}
