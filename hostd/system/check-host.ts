import { ProcessError, run } from "../../effects/process.ts";
import type { Health } from "../../manifests/app.ts";
import { checkHttp, checkTcp, lookupHost, oneLine } from "./check.ts";
import { checkFile } from "./check-file.ts";
import { checkUnit } from "./check-unit.ts";
import type { HealthResult } from "./node.ts";

type Verdict = Omit<HealthResult, "took">;

/** One check of the host itself, once: programs run on it as they are, as root. */
export async function checkOfHost(health: Health): Promise<HealthResult> {
  const started = performance.now();
  const verdict = await judge(health);
  return { ...verdict, took: Math.round(performance.now() - started) };
}

function judge(health: Health): Promise<Verdict> {
  switch (health.kind) {
    case "http":
      return checkHttp(health.url, undefined, health.timeout);
    case "tcp":
      return checkTcp({ host: health.host, port: health.port, lookup: lookupHost }, health.timeout);
    case "exec":
      return checkProgram(health.command, health.timeout);
    case "unit":
      return checkUnit(health.unit, health.timeout);
    case "file":
      return checkFile(health, "/");
  }
}

async function checkProgram(command: readonly string[], timeout: number): Promise<Verdict> {
  try {
    const { stdout } = await run(command, { timeout, cwd: "/" });
    return { ok: true, detail: oneLine(`exit code 0 ${stdout}`) };
  } catch (error) {
    if (!(error instanceof ProcessError)) throw error;
    return { ok: false, detail: error.timedOut ? `no end within ${timeout} ms` : oneLine(error.message) };
  }
}
