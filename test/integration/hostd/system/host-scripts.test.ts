import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runHostScripts } from "../../../../hostd/system/host-scripts.ts";
import { describeWith } from "../../../needs.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "scripts-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

describeWith({ root: true }, "the host's own scripts", () => {
  test("run by name, one result each, with what they said; the admin's wins over the vendor's of the same name", async () => {
    script("vendor/required.d/10-a", "echo vendor; exit 1");
    script("admin/required.d/10-a", 'echo "admin $HOSTD_APP"');
    script("vendor/required.d/20-b", "echo broken >&2; exit 7");
    script("vendor/wanted.d/00-other", "exit 1");
    expect(await runScripts()).toEqual([
      {
        check: "required.d/10-a",
        path: join(directory, "admin/required.d/10-a"),
        outcome: "ok",
        exitCode: 0,
        detail: "exit code 0: admin shop",
        took: expect.any(Number),
        at: "2026-01-01T00:00:00.000Z",
      },
      expect.objectContaining({ check: "required.d/20-b", outcome: "failed", detail: "exit code 7: broken" }),
    ]);
  });

  test("that are not run are told with the reason", async () => {
    script("vendor/required.d/masked", "exit 1");
    mkdirSync(join(directory, "admin/required.d"), { recursive: true });
    symlinkSync("/dev/null", join(directory, "admin/required.d/masked"));
    symlinkSync("/nowhere", join(directory, "admin/required.d/nowhere"));
    mkdirSync(join(directory, "admin/required.d/folder"));
    script("admin/required.d/plain", "exit 1", 0o644);
    script("admin/required.d/theirs", "exit 0");
    chownSync(join(directory, "admin/required.d/theirs"), 65_534, 65_534);
    script("admin/required.d/writable", "exit 0", 0o777);
    script("admin/required.d/.hidden", "exit 1");
    const found = await runScripts();
    expect(found.map(({ check, outcome, detail }) => [check.slice("required.d/".length), outcome, detail])).toEqual([
      ["folder", "skipped", "not a file"],
      ["masked", "skipped", "masked"],
      ["nowhere", "failed", "not run: a link that leads nowhere"],
      ["plain", "skipped", "not executable"],
      ["theirs", "failed", "not run: others than root may write to it"],
      ["writable", "failed", "not run: others than root may write to it"],
    ]);
  });

  test("that never end, or leave something running, are ended with all they started", async () => {
    script("vendor/required.d/1-hangs", "echo waiting; sleep 300 & sleep 300");
    script("vendor/required.d/2-leaves", "(sleep 300) & exit 0");
    script("vendor/required.d/3-no-program", "", 0o755, "#!/nowhere/sh\n");
    const began = Date.now();
    const [hangs, leaves, missing] = await runScripts(2_000);
    expect(Date.now() - began).toBeLessThan(20_000);
    expect(hangs).toMatchObject({ outcome: "timed-out", detail: "no end within 2000 ms: waiting" });
    expect(leaves).toMatchObject({ outcome: "ok", exitCode: 0 });
    expect(missing).toMatchObject({ outcome: "failed", detail: expect.stringMatching(/^cannot be run: .*ENOENT/) });
  });

  test("are no more run once the operation is aborted; no directory means none", async () => {
    expect(await runScripts()).toEqual([]);
    script("vendor/required.d/1", "exit 0");
    expect(await runScripts(1_000, AbortSignal.abort())).toEqual([]);
  });
});

function runScripts(timeout = 5_000, signal = new AbortController().signal) {
  return runHostScripts({
    directories: [join(directory, "vendor"), join(directory, "admin")],
    kind: "required.d",
    env: { HOSTD_APP: "shop" },
    timeout,
    date: () => new Date("2026-01-01T00:00:00Z"),
    signal,
  });
}

function script(path: string, text: string, mode = 0o755, head = "#!/bin/sh\n"): void {
  const file = join(directory, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${head}${text}\n`);
  chmodSync(file, mode);
}
