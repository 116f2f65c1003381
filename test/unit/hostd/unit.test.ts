import { describe, expect, test } from "vitest";
import { hostdUnit } from "../../../hostd/unit.ts";

describe("hostdUnit", () => {
  const lines = hostdUnit("/var/lib/hostd", ["--repository=https://updates.example/100% a"]).split("\n");

  test("its start ends with READY, a hang is noticed, and it always comes back", () => {
    for (const line of [
      "Type=notify",
      "NotifyAccess=all",
      "WatchdogSec=60",
      "Restart=always",
      "StartLimitIntervalSec=0",
    ]) {
      expect(lines).toContain(line);
    }
  });

  test("options arrive as given, and systemd starts the apps", () => {
    const command = lines.find((line) => line.startsWith("ExecStart="));
    expect(command).toMatch(
      /^ExecStart="\/[^"]*\/bin\/hostd" "serve" "--launcher" "systemd" "--state" "\/var\/lib\/hostd" /,
    );
    expect(command).toMatch(/ "--repository=https:\/\/updates\.example\/100%% a"$/);
  });

  test("what it mounts is seen by apps: no option that gives it a mount namespace of its own", () => {
    expect(lines.filter((line) => /^(Protect|Private|ReadOnly|Inaccessible|Bind|Root)/.test(line))).toEqual([]);
  });

  test("systemd makes the usual state directory, and no other", () => {
    expect(lines).toContain("StateDirectory=hostd");
    expect(hostdUnit("/srv/hostd", [])).not.toContain("StateDirectory");
  });
});
