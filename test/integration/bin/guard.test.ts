import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../../..");

// The copy pins a Node that this one is not: the same situation as a wrong Node beside the right pin.
test.each(["ostler", "hostd"])("%s names the wrong Node and what installs the right one", (program) => {
  const copy = mkdtempSync(join(tmpdir(), "ostler-guard-"));
  try {
    for (const name of ["bin", "cli", "hostd", "terminal", "manifests", "effects"]) {
      cpSync(join(root, name), join(copy, name), { recursive: true });
    }
    mkdirSync(join(copy, "node_modules/.bin"), { recursive: true });
    cpSync(process.execPath, join(copy, "node_modules/.bin/node"));
    writeFileSync(join(copy, "package.json"), '{"type":"module","devDependencies":{"node":"23.1.0"}}');
    const { status, stderr } = spawnSync(join(copy, "bin", program), ["--help"], { encoding: "utf8" });
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringMatching(/^error: expected Node 23\.1\.0, got 24\..*\nhint: \.\/run setup installs/),
    });
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
});

test.each(["ostler", "hostd"])("%s without its Node says what installs it", (program) => {
  const copy = mkdtempSync(join(tmpdir(), "ostler-guard-"));
  try {
    cpSync(join(root, "bin"), join(copy, "bin"), { recursive: true });
    const { status, stderr } = spawnSync(join(copy, "bin", program), ["--help"], { encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining("hint:") });
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
});
