import { PROGRAMS } from "./system/programs.ts";
import { quoteCommandLine } from "./system/systemd/quote.ts";
import { unitText } from "./system/systemd/units.ts";

/** Seconds without a sign of life after which systemd takes hostd for hung. */
const WATCHDOG = 60;

/** Seconds that recovery may take before hostd says READY. */
const START_LIMIT = 600;

const DEFAULT_STATE = "/var/lib/hostd";

/**
 * The text of hostd.service. `serve` are the arguments of `hostd serve` beyond the launcher. Apps are units of their
 * own, so nothing of hostd's cgroup has to outlive it. It has the node's own mount namespace: what it mounts, apps use.
 */
export function hostdUnit(stateDirectory: string, serve: readonly string[]): string {
  const command = [PROGRAMS.hostd, "serve", "--launcher", "systemd", "--state", stateDirectory, ...serve];
  return unitText({
    Unit: [
      "Description=ostler's node daemon",
      "Wants=network-online.target",
      "After=network-online.target",
      "StartLimitIntervalSec=0",
    ],
    Service: [
      "Type=notify",
      "NotifyAccess=all",
      `ExecStart=${quoteCommandLine(command)}`,
      "Restart=always",
      "RestartSec=1",
      `WatchdogSec=${WATCHDOG}`,
      `TimeoutStartSec=${START_LIMIT}`,
      "TimeoutAbortSec=5",
      "KillMode=mixed",
      "OOMPolicy=continue",
      ...(stateDirectory === DEFAULT_STATE ? ["StateDirectory=hostd", "StateDirectoryMode=0700"] : []),
      "LimitCORE=0",
      "LockPersonality=yes",
      "RestrictRealtime=yes",
      "SystemCallArchitectures=native",
      "UMask=0022",
    ],
    Install: ["WantedBy=multi-user.target"],
  });
}
