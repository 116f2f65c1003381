import { describe, expect, test } from "vitest";
import { hostdUnit } from "../../../hostd/unit.ts";
import { verb } from "../../../hostd/verbs/unit.ts";
import { toCommand } from "../../../terminal/program.ts";

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

describe("hostd unit", () => {
  const repository = "--repository=/srv/repository";

  test.each([
    [[], "--repository: expected a directory or an http(s) address, got nothing"],
    [[repository, "--keep=0"], "--keep: expected a whole number from 1 on, got 0"],
    [[repository, "--between=02:00-05:00"], "--between: expected --follow activate beside it, got --follow no"],
    [[repository, "--rate=0"], "--rate: expected bytes such as 500k or 10M, got 0"],
    [[repository, "--snapshot-bytes=x"], "--snapshot-bytes: expected bytes such as 500k or 10M, got x"],
    [[repository, "--snapshot-ttl=0"], "--snapshot-ttl: expected a time such as 14d, 36h, 30m, or never, got 0"],
    [[repository, "--care=0s"], "--care: expected a time such as 1h, of at most 24d, got 0s"],
    [[repository, "--data=zfs"], "--data: expected auto or lvm:VG/POOL, got zfs"],
  ])("%j: prints no unit that hostd serve would refuse, and names the option", async (words, message) => {
    const options = toCommand({ name: "hostd" }, verb)
      .parse(["node", "hostd", ...words])
      .opts();
    const invocation = {
      arguments: [],
      options,
      progress: () => {},
      json: false,
      signal: new AbortController().signal,
    };
    await expect(verb.run(invocation)).rejects.toMatchObject({ outcome: "usage", message });
  });
});
