import type { AppStatus, HealthVerdict } from "../../manifests/node.ts";

/** One word for a node: red where an app is sick or kept stopped, unknown while one is judged or was not looked at. */
export function verdictOf(apps: readonly Pick<AppStatus, "health" | "current" | "hold">[]): HealthVerdict {
  const running = apps.filter(({ current, hold }) => current !== undefined || hold !== undefined);
  if (running.some(({ health }) => health === "unhealthy" || health === "stopped")) return "red";
  return running.every(({ health }) => health === "healthy") ? "green" : "unknown";
}
