import { describe, expect, test } from "vitest";
import { BuildError } from "../../../builder/error.ts";
import { expectRoot, explained } from "../../../builder/failure.ts";
import { expectPrograms } from "../../../builder/programs.ts";

describe("what the machine lacks is told in the builder's own words", () => {
  const signal = new AbortController().signal;

  test("no root: why, and what to do", () => {
    expect(() => expectRoot(0)).not.toThrow();
    expect(() => expectRoot(1000)).toThrow("building needs root: RUN mounts an overlay");
  });

  test("a missing program: its name and its package", () => {
    const path = process.env["PATH"];
    process.env["PATH"] = "/nowhere";
    try {
      expect(() => expectPrograms("bwrap", "mount")).toThrow(
        expect.objectContaining({ code: "program-missing", hint: "apt-get install bubblewrap mount, or ./run setup" }),
      );
    } finally {
      process.env["PATH"] = path;
    }
  });

  test("a full disk, whoever met it: the system, or a program that said so", async () => {
    const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    for (const cause of [
      full,
      new BuildError("run-failed", "x: exit code 1\ncp: error writing: No space left on device"),
    ]) {
      await expect(explained("/", signal, () => Promise.reject(cause))).rejects.toMatchObject({ code: "disk-full" });
    }
  });

  test("an interruption is told as one, anything else stays what it is", async () => {
    const error = new BuildError("run-failed", "x: exit code 1");
    await expect(explained("/", signal, () => Promise.reject(error))).rejects.toBe(error);
    await expect(explained("/", AbortSignal.abort(), () => Promise.reject(error))).rejects.toMatchObject({
      code: "interrupted",
    });
  });
});
