const FAULT = process.env["HOSTD_FAULT"];

/**
 * A named moment at which a test can end this process as a power cut would: with HOSTD_FAULT=<name> it kills
 * itself there with SIGKILL. Names are `<kind>.<step>.<before|after>` and `<kind>.<step>.undo.<before|after>`.
 */
export function faultPoint(name: string): void {
  if (FAULT === name) process.kill(process.pid, "SIGKILL");
}
