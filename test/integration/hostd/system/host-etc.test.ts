import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type HostEtc, openHostEtc } from "../../../../hostd/system/host/etc.ts";
import { openHostFiles } from "../../../../hostd/system/host/files.ts";
import { openLooks } from "../../../../hostd/system/host/looks.ts";
import { openEtc } from "../../../hostd/initrd.ts";
import { describeWith } from "../../../needs.ts";

const [A, B, C] = ["a", "b", "c"].map((letter) => letter.repeat(64)) as [string, string, string];

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

  /** With /etc of a root mounted as the initrd does; `file` is where a path of it is seen. */
  const whileRunning = async (root: string, use: (file: (path: string) => string) => Promise<unknown>) => {
    const target = join(directory, "machine/etc");
    const options = `lowerdir=${at(root, "declared")}:${join(directory, "image")},upperdir=${at(root, "upper")},workdir=${at(root, "work")}`;
    execFileSync("mount", ["-t", "overlay", "overlay", "-o", options, target]);
    try {
      await use((path) => join(directory, "machine", path));
    } finally {
      execFileSync("umount", [target]);
    }
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "host-etc-"));
    put(join(directory, "state/host/identity/etc/hostname"), "node-1\n");
    mkdirSync(join(directory, "machine/etc"), { recursive: true });
    for (const name of ["run", "image"]) mkdirSync(join(directory, name));
    etc = openHostEtc(join(directory, "state"), join(directory, "machine"), openLooks(join(directory, "run")));
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

  test("one that another root's upper leads through stays, a link that leads to a link included", async () => {
    for (const root of [A, B]) boot(root);
    await etc.make(C, { running: B, started: B, shared: true }, []);
    await etc.make(B, { running: A, started: A, shared: true }, []);
    put(at(A, "upper/motd"), "changed by hand\n");
    expect(await etc.ownerOf(C)).toBe(A);
    expect(await etc.remove(A)).toBe(false);
    expect(await etc.remove(B)).toBe(false);
    expect(readFileSync(at(C, "upper/motd"), "utf8")).toBe("changed by hand\n");
    const gone = [await etc.remove(C), await etc.remove(B), await etc.remove(A), await etc.remove(A)];
    expect(gone).toEqual([true, true, true, true]);
    expect(readdirSync(at())).toEqual([]);
  });

  test("goes back with the config declared now, whatever it was replaced with while it ran; what was changed by hand stays", async () => {
    const [issue, banner] = ["/etc/issue.d/host", "/etc/banner"];
    const config = (text: string) => [issue, banner].map((path) => ({ path, bytes: text }));
    boot(A);
    await whileRunning(A, async (file) => {
      await etc.replace(A, config("2"));
      put(file(banner), "changed by hand\n");
      await etc.make(B, { running: A, started: A, shared: false }, config("2"));
    });
    await whileRunning(B, async () => {
      await etc.replace(B, config("3"));
      await etc.make(A, { running: B, started: B, shared: false }, config("3"));
    });
    await whileRunning(A, async (file) => {
      expect([issue, banner].map((path) => readFileSync(file(path), "utf8"))).toEqual(["3", "changed by hand\n"]);
      expect(await etc.drift(A)).toEqual([{ path: banner, how: "changed" }]);
    });
  });

  test("a copy of what a root declared goes from the upper that it shares with the one that is gone back to", async () => {
    const config = (bytes: string) => [{ path: "/etc/banner", bytes }];
    boot(A);
    await etc.make(A, { running: C, started: C, shared: false }, config("1"));
    await whileRunning(A, async () => {
      await etc.make(B, { running: A, started: A, shared: true }, config("1"));
      await etc.replace(B, config("2"));
      await etc.make(C, { running: B, started: A, shared: false }, config("2"));
    });
    await whileRunning(C, () => etc.make(A, { running: C, started: C, shared: false }, config("3")));
    await whileRunning(A, async (file) => expect(readFileSync(file("/etc/banner"), "utf8")).toBe("3"));
  });

  test("a change made by hand is found however many others there are, and they are told by name", async () => {
    boot(A);
    for (let number = 0; number < 1_100; number++) put(at(A, "upper", `many-${String(number).padStart(4, "0")}`), "");
    put(at(A, "upper/zone/last"), "changed by hand\n");
    put(at(A, "declared/zone/same"), "");
    put(at(A, "upper/zone/same"), "");
    execFileSync("mknod", [at(A, "upper/issue.d"), "c", "0", "0"]);
    const config = ["/etc/zone/last", "/etc/zone/same", "/etc/zone/other", "/etc/issue.d/host"];
    expect(await etc.changedByHand(A, config)).toEqual(["/etc/zone/last", "/etc/issue.d/host"]);
    const told = (await etc.drift(A)).map(({ path }) => path);
    expect(told).toHaveLength(1_000);
    expect(told.slice(0, 2)).toEqual(["/etc/issue.d", "/etc/many-0000"]);
  });

  test("is not like another one while any file differs, and carries no copy, behind a thousand that do not", async () => {
    for (const root of [A, B]) boot(root);
    for (let number = 0; number < 1_100; number++) {
      for (const place of ["declared", "upper"]) put(at(A, place, `many-${number}`), "");
    }
    expect(await etc.isAlike(B, A)).toBe(true);
    await etc.make(C, { running: A, started: A, shared: false }, []);
    expect(readdirSync(at(C, "upper"))).toEqual([]);
    put(at(A, "upper/zone"), "changed by hand\n");
    expect(await etc.isAlike(B, A)).toBe(false);
  });

  test("nothing is declared on a first disk but its identity; once a root is made, no file that was asked for is missing", async () => {
    openEtc(join(directory, "state"), A);
    const config = ["/etc/motd", "/etc/hostname", "/etc/issue.d/host"];
    expect(await etc.undeclared(A, config)).toEqual(["/etc/motd", "/etc/issue.d/host"]);
    expect(await etc.undeclared(B, config)).toEqual(config);
    await etc.make(
      B,
      { running: A, started: A, shared: false },
      config.map((path) => ({ path, bytes: "2\n" })),
    );
    expect(await etc.undeclared(B, config)).toEqual([]);
    put(at(A, "upper/motd"), "changed by hand\n");
    expect(await etc.undeclared(A, ["/etc/motd"])).toEqual(["/etc/motd"]);
  });

  test("what the machine stands on is declared again file by file, in directories that are new as well, without leftovers", async () => {
    boot(A);
    put(at(A, "declared/machine-id"), "identity\n");
    put(at(A, "declared/.motd.1a2b3c.tmp"), "half of");
    put(at(A, "declared/.motd.swp"), "somebody's own\n");
    const config = ["/etc/motd", "/etc/banner.d/host"].map((path) => ({ path, bytes: "2\n" }));
    for (let time = 0; time < 2; time++) await etc.make(A, { running: B, started: A, shared: false }, config);
    expect(readFileSync(at(A, "declared/banner.d/host"), "utf8")).toBe("2\n");
    expect(readdirSync(at(A, "declared")).sort()).toEqual([".motd.swp", "banner.d", "machine-id", "motd"]);
  });

  test("tells what a directory that was made anew hides, and other rights of one; both are so in the next version", async () => {
    for (const file of ["ssh/kept", "ssh/lost", "plain/file"]) {
      put(join(directory, "state/host/identity/etc", file), "of the node\n");
    }
    openEtc(join(directory, "state"), A);
    const drift = [
      { path: "/etc/empty", how: "changed" },
      { path: "/etc/new/file", how: "changed" },
      { path: "/etc/plain", how: "changed" },
      { path: "/etc/ssh/lost", how: "removed" },
    ];
    await whileRunning(A, async (file) => {
      rmSync(file("etc/ssh"), { recursive: true });
      put(file("etc/ssh/kept"), "of the node\n");
      put(file("etc/new/file"), "by hand\n");
      mkdirSync(file("etc/empty"));
      chmodSync(file("etc/plain"), 0o700);
      expect(await etc.drift(A)).toEqual(drift);
      await etc.make(B, { running: A, started: A, shared: false }, []);
    });
    await whileRunning(B, async (file) => {
      expect(readdirSync(file("etc/ssh"))).toEqual(["kept"]);
      expect(readFileSync(file("etc/ssh/kept"), "utf8")).toBe("of the node\n");
      expect(await etc.drift(B)).toEqual(drift);
    });
  });

  test("a secret is for root alone, also where the node's identity has a file or a link of that name", async () => {
    put(join(directory, "state/host/identity/etc/hostd/serve.env"), "of the node\n");
    symlinkSync("nowhere", join(directory, "state/host/identity/etc/localtime"));
    const paths = ["hostd/serve.env", "localtime", "token"];
    const config = paths.map((path) => ({ path: `/etc/${path}`, bytes: "secret\n", secret: true }));
    await etc.make(B, { running: A, started: A, shared: false }, config);
    for (const path of paths) {
      expect(readFileSync(at(B, "declared", path), "utf8")).toBe("secret\n");
      expect(lstatSync(at(B, "declared", path)).mode & 0o777).toBe(0o600);
    }
  });

  test("whatever ends the making of a root, its next boot finds the one that was there, and a start removes what is left", async () => {
    const files = await openHostFiles(join(directory, "state"));
    boot(B);
    put(at(B, "declared/motd"), "1\n");
    const config = [
      { path: "/etc/motd", bytes: "2\n" },
      { path: "/etc/hostname/host", bytes: "where a file is\n" },
    ];
    for (const root of [B, C]) {
      await expect(etc.make(root, { running: A, started: A, shared: false }, config)).rejects.toThrow("making");
      await files.removeHalfMade("boot");
      expect(readdirSync(at())).toEqual([B]);
    }
    expect(readdirSync(at(B)).sort()).toEqual(["declared", "upper", "work"]);
    expect(readFileSync(at(B, "declared/motd"), "utf8")).toBe("1\n");
  });
});
