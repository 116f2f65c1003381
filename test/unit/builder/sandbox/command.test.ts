import { describe, expect, test } from "vitest";
import { sandboxCommand } from "../../../../builder/sandbox/command.ts";
import { parseLdd } from "../../../../builder/sandbox/setpriv.ts";
import { programOf, usesPipe } from "../../../../builder/sandbox/shell.ts";
import { openTree } from "../../../../builder/tree/tree.ts";
import { entries } from "../entries.ts";

const SPEC = {
  directory: "/work",
  overlayOptions: "lowerdir=a",
  mounts: [],
  env: { A: "b" },
  workdir: "/w",
  network: false,
  command: ["true"],
  locks: [],
};

describe("sandboxCommand", () => {
  test("each program replaces itself by the next, and dies with the builder", () => {
    const command = sandboxCommand(SPEC);
    expect(command.slice(0, 4)).toEqual(["setpriv", "--pdeathsig", "KILL", "--"]);
    expect(command.join(" ")).toContain("unshare --mount --propagation private -- sh -c umask 022");
    expect(command).toContain("--die-with-parent");
    expect(command.slice(-4)).toEqual(["--chdir", "/w", "--", "true"]);
  });

  test("has namespaces of its own, no capability to mount or to reach devices, and network only when told", () => {
    const command = sandboxCommand(SPEC);
    for (const option of ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--clearenv"])
      expect(command).toContain(option);
    for (const capability of ["CAP_SYS_ADMIN", "CAP_SYS_RAWIO", "CAP_SYS_MODULE", "CAP_NET_ADMIN"])
      expect(command).not.toContain(capability);
    expect(sandboxCommand({ ...SPEC, network: true })).not.toContain("--unshare-net");
  });

  test("mounts, locks and another user stand in their places", () => {
    const ids = { uid: 7, gid: 8, groups: [9], home: "/h" };
    const command = sandboxCommand({
      ...SPEC,
      locks: ["/l"],
      mounts: [
        { kind: "bind", source: "/s", target: "/t", readonly: true },
        { kind: "tmpfs", target: "/m", size: 5 },
      ],
      user: { ids, setpriv: ["/dev/ostler/setpriv"] },
    }).join(" ");
    expect(command).toContain("flock --no-fork --exclusive /l unshare");
    expect(command).toContain("--ro-bind /s /t --perms 1777 --size 5 --tmpfs /m");
    expect(command).toContain(
      "-- /dev/ostler/setpriv --reuid 7 --regid 8 --groups 9 --inh-caps=-all --ambient-caps=-all -- true",
    );
  });
});

describe("programOf", () => {
  const withBash = openTree(entries("d:", "d:bin", "f:bin/bash=x"));
  const without = openTree(entries("d:"));

  test("text runs strictly under bash where the tree has it, else under sh, which refuses a pipe it cannot see fail", () => {
    const run = { form: "shell", script: "a | b", shell: undefined } as const;
    expect(programOf(run, withBash)).toEqual({
      command: ["bash", "-O", "inherit_errexit", "-euo", "pipefail", "/dev/ostler/step"],
      script: { path: "/dev/ostler/step", content: "a | b\n" },
    });
    expect(programOf(run, without).command.slice(-2)).toEqual(["sh", "pipe"]);
    expect(programOf({ ...run, script: "a || b" }, without).command.slice(-2)).toEqual(["sh", "plain"]);
  });

  test("a shell of SHELL, an argument list and a script with an interpreter run as they are", () => {
    expect(programOf({ form: "shell", script: "x", shell: ["/bin/zsh", "-c"] }, withBash)).toEqual({
      command: ["/bin/zsh", "-c", "x"],
    });
    expect(programOf({ form: "exec", command: ["a", "b"] }, withBash)).toEqual({ command: ["a", "b"] });
    expect(programOf({ form: "file", content: "#!/usr/bin/perl\n" }, withBash)).toEqual({
      command: ["/dev/ostler/step"],
      script: { path: "/dev/ostler/step", content: "#!/usr/bin/perl\n" },
    });
  });

  test.each([
    ["a | b", true],
    ["a |& b", true],
    ["a || b", false],
    ["echo 'a | b'", false],
    ["echo a \\| b", false],
    ["# a | b", false],
    ['echo "$(a | b)"', true],
  ])("usesPipe(%j) is %j", (script, expected) => {
    expect(usesPipe(script)).toBe(expected);
  });
});

test("parseLdd finds libraries and the loader", () => {
  const output =
    "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/libc.so.6 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
  expect(parseLdd(output)).toEqual(["/lib/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
});
