import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type HostEtc, openHostEtc } from "../../../../hostd/system/host/etc.ts";
import { describeWith } from "../../../needs.ts";

const [A, B] = ["a", "b"].map((letter) => letter.repeat(64)) as [string, string];

describeWith({ root: true }, "/etc of each root", () => {
  let directory: string;
  let etc: HostEtc;
  const at = (...path: string[]) => join(directory, "state/host/etc", ...path);
  const put = (path: string, text: string) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };

  /** As the initrd leaves it at the first boot of a root. */
  const boot = (root: string) => {
    for (const name of ["declared", "upper", "work"]) mkdirSync(at(root, name), { recursive: true });
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "host-etc-"));
    put(join(directory, "state/host/identity/etc/hostname"), "node-1\n");
    mkdirSync(join(directory, "machine/etc"), { recursive: true });
    mkdirSync(join(directory, "run"));
    etc = openHostEtc(join(directory, "state"), join(directory, "machine"), join(directory, "run"));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test("shares no upper that is not there: after a wipe under the running system, the next one has its own", async () => {
    expect(await etc.ownerOf(A)).toBe(A);
    await etc.make(B, { running: A, started: A, shared: true }, []);
    expect(lstatSync(at(B, "upper")).isDirectory()).toBe(true);
    expect(await etc.ownerOf(B)).toBe(B);
    expect(existsSync(at(A))).toBe(false);

    boot(A);
    await etc.make(B, { running: A, started: A, shared: true }, []);
    expect(await etc.ownerOf(B)).toBe(A);
    put(at(A, "upper/motd"), "changed by hand\n");
    expect(readFileSync(at(B, "upper/motd"), "utf8")).toBe("changed by hand\n");
  });
});
