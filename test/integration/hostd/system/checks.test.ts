import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkFile } from "../../../../hostd/system/check-file.ts";
import { checkUnit } from "../../../../hostd/system/check-unit.ts";
import { eventually } from "./fixture.ts";

const window = { interval: 1_000, timeout: 2_000, within: 1_000, stable: 0 };

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "checks-"));
  mkdirSync(join(root, "data"));
});
afterEach(() => rmSync(root, { recursive: true }));

describe("the check of a file", () => {
  const check = (path: string, maxAge?: number) =>
    checkFile({ kind: "file", path, ...(maxAge === undefined ? {} : { maxAge }), ...window }, root);

  test("is good where it is there, and says its size", async () => {
    writeFileSync(join(root, "data/ready"), "yes");
    expect(await check("/data/ready")).toEqual({ ok: true, detail: "there, 3 bytes" });
    expect(await check("/data/absent")).toEqual({ ok: false, detail: "not there" });
    expect(await check("/data/ready/below")).toEqual({ ok: false, detail: "not there" });
    expect(await check("/data")).toMatchObject({ ok: true });
  });

  test("is good with an age while the file is written often enough, and never for one from the future", async () => {
    const file = join(root, "data/beat");
    writeFileSync(file, "");
    expect(await check("/data/beat", 60_000)).toMatchObject({ ok: true });
    const at = (distance: number) => utimesSync(file, Date.now() / 1_000 + distance, Date.now() / 1_000 + distance);
    at(-120);
    expect(await check("/data/beat", 60_000)).toEqual({
      ok: false,
      detail: expect.stringMatching(/^written 1(20|21) s ago, expected within 60 s$/),
    });
    at(365 * 86_400);
    expect(await check("/data/beat", 60_000)).toMatchObject({ ok: false, detail: expect.stringContaining("future") });
  });

  test("follows links as the app would: none leads out of its root, and one that leads to itself is not there", async () => {
    writeFileSync(join(root, "data/real"), "12345");
    symlinkSync("/data/real", join(root, "absolute"));
    symlinkSync("../../../../data/real", join(root, "data/up"));
    symlinkSync("/etc/passwd", join(root, "outside"));
    symlinkSync("loop", join(root, "loop"));
    expect(await check("/absolute")).toMatchObject({ ok: true, detail: "there, 5 bytes" });
    expect(await check("/data/up")).toMatchObject({ ok: true, detail: "there, 5 bytes" });
    expect(await check("/outside")).toEqual({ ok: false, detail: "not there" });
    expect(await check("/loop")).toEqual({ ok: false, detail: "not there" });
  });

  test("answers that a link is not there which goes before it is read, as that of a process that ended", async () => {
    const fork = 'my $pid = fork // die; exit if $pid == 0; $| = 1; print "$pid\\n"; <STDIN>'; // and never waits for it
    const parent = spawn("perl", ["-e", fork], { stdio: ["pipe", "pipe", "inherit"] });
    const pid = Number(String(await once(parent.stdout, "data")));
    try {
      const state = async () => readFileSync(`/proc/${pid}/stat`, "utf8").split(" ")[2];
      await eventually(state, (found) => found === "Z"); // its links are listed, and lead nowhere
      const path = `/proc/${pid}/exe`;
      expect(await checkFile({ kind: "file", path, ...window }, "/")).toEqual({ ok: false, detail: "not there" });
    } finally {
      parent.stdin.end();
    }
  });
});

describe("the check of a unit", () => {
  test("says so where systemd is not process 1", async () => {
    expect(await checkUnit("a.service", 1_000, join(root, "absent"))).toEqual({
      ok: false,
      detail: "systemd is not process 1 of this node",
    });
  });

  test("is what systemctl says, and a state of the app where that cannot say it", async () => {
    const bin = join(root, "bin");
    mkdirSync(bin);
    const script = '#!/bin/sh\ntest "$1 $2" = "is-active --" || exit 9\necho "$STATE"\ntest "$STATE" = active\n';
    writeFileSync(join(bin, "systemctl"), script, { mode: 0o755 });
    const before = process.env["PATH"];
    process.env["PATH"] = `${bin}:${before}`;
    try {
      process.env["STATE"] = "active";
      expect(await checkUnit("a.service", 2_000, root)).toEqual({ ok: true, detail: "active" });
      process.env["STATE"] = "failed";
      expect(await checkUnit("a.service", 2_000, root)).toEqual({ ok: false, detail: "failed" });
    } finally {
      process.env["PATH"] = before;
      delete process.env["STATE"];
    }
  });
});
