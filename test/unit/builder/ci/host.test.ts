import { describe, expect, it } from "vitest";
import { testCommand } from "../../../../builder/ci/host.ts";
import { qemuCommand } from "../../../../builder/ci/qemu.ts";

const TEST = { command: ["/usr/bin/node", "--test", "/run/t"], workdir: "/", user: undefined, timeout: 90_500 };

describe("testCommand", () => {
  it("makes a TEST a unit of the machine that ends in time", () => {
    expect(testCommand(TEST, { A: "b c" }, [])).toEqual([
      ...["systemd-run", "--quiet", "--wait", "--pipe", "--collect"],
      ...["-p", "RuntimeMaxSec=91", "-p", "WorkingDirectory=/"],
      ...["-E", "A=b c", "--", "/usr/bin/node", "--test", "/run/t"],
    ]);
  });

  it("gives it its user, and what it mounts, read-only unless it asks to write", () => {
    const command = testCommand({ ...TEST, user: "nobody:nogroup" }, {}, [
      { kind: "bind", source: "/run/s", target: "/run/t", readonly: true },
      { kind: "bind", source: "/run/w", target: "/run/u", readonly: false },
      { kind: "tmpfs", target: "/run/m" },
    ]);
    expect(command.filter((_, index) => command[index - 1] === "-p").slice(2)).toEqual([
      "User=nobody",
      "Group=nogroup",
      "BindReadOnlyPaths=/run/s:/run/t",
      "BindPaths=/run/w:/run/u",
      "TemporaryFileSystem=/run/m",
    ]);
  });
});

describe("qemuCommand", () => {
  const machine = { disks: ["d"], vars: "v", memory: 512, sshPort: 2222 };
  const nic = (command: readonly string[]) => command[command.indexOf("-nic") + 1];

  it("lets nothing out, and only port 22 in, unless the machine may use the network", () => {
    expect(nic(qemuCommand(machine))).toContain("restrict=on,hostfwd=tcp:127.0.0.1:2222-:22");
    expect(nic(qemuCommand({ ...machine, network: true }))).toContain("restrict=off");
    expect(nic(qemuCommand({ ...machine, sshPort: undefined }))).toBe("none");
  });

  it("emulates unless it is told to use the processor's help, and never resets by itself", () => {
    expect(qemuCommand(machine)).toEqual(expect.arrayContaining(["tcg,thread=multi", "-no-reboot"]));
    expect(qemuCommand({ ...machine, kvm: true })).toContain("kvm");
  });
});
