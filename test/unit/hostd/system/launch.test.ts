import { expect, test } from "vitest";
import { besideCommand, launchCommand, type Sandbox, specFields } from "../../../../hostd/system/launch.ts";
import { PROGRAMS } from "../../../../hostd/system/programs.ts";

const SANDBOX: Sandbox = {
  root: "/run/hostd/slots/shop/111111111111",
  points: "/run/hostd/apps/shop/points/3",
  at: "/run/hostd/apps/shop/root",
  data: { source: "/var/lib/hostd/data/shop/versions/first", target: "/var/lib/shop" },
  files: [{ source: "/var/lib/hostd/apps/shop/config/3/etc/shop.json", target: "/etc/shop.json" }],
};

const PROGRAM = { command: ["/usr/bin/node", "server.mjs"], env: { A: "x=y", PATH: "/bin" }, workdir: "/opt/shop" };

test("launchCommand joins root and mount points in a mount namespace of its own, as arguments and not as shell text", () => {
  expect(launchCommand(SANDBOX, 1, ["/sys/fs/cgroup/memory/shop@3"]).slice(0, 7)).toEqual([
    ...["/usr/bin/perl", PROGRAMS.prepare, process.arch, "/sys/fs/cgroup/memory/shop@3", "--"],
    "lowerdir=/run/hostd/slots/shop/111111111111:/run/hostd/apps/shop/points/3",
    "/run/hostd/apps/shop/root",
  ]);
});

test("launchCommand mounts the image read-only, then what is writable, data before the config files in it", () => {
  const command = launchCommand(SANDBOX, 1).join(" ");
  const inOrder = [
    "--ro-bind /run/hostd/apps/shop/root /app",
    "--proc /app/proc",
    "--dev /app/dev",
    "--perms 1777 --tmpfs /app/tmp",
    "--perms 1777 --tmpfs /app/run",
    "--perms 1777 --tmpfs /app/dev/shm",
    "--bind /var/lib/hostd/data/shop/versions/first /app/var/lib/shop",
    "--ro-bind /var/lib/hostd/apps/shop/config/3/etc/shop.json /app/etc/shop.json",
    "--cap-drop ALL",
  ];
  const places = inOrder.map((part) => command.indexOf(part));
  expect(places).not.toContain(-1);
  expect(places).toEqual([...places].sort((one, other) => one - other));
});

test("launchCommand dies with its parent, drops every capability that entering does not need, and clears the environment", () => {
  const command = launchCommand(SANDBOX, 0);
  for (const flag of [
    "--die-with-parent",
    "--new-session",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--clearenv",
  ]) {
    expect(command).toContain(flag);
  }
  expect(command).not.toContain("--unshare-net");
  expect(command.filter((_, i) => command[i - 1] === "--cap-add")).toEqual([
    "CAP_SYS_ADMIN",
    "CAP_SETUID",
    "CAP_SETGID",
    "CAP_SETPCAP",
  ]);
});

test.each([
  [0, ["3", "4"]],
  [2, ["5", "6"]],
])("with %i sockets the spec and the report follow them", (sockets, descriptors) => {
  expect(launchCommand(SANDBOX, sockets).slice(-3)).toEqual([process.arch, ...descriptors]);
});

test("neither environment nor command of the image is on a command line", () => {
  for (const command of [launchCommand(SANDBOX, 1), besideCommand(812)]) {
    expect(command.join(" ")).not.toMatch(/server\.mjs|x=y/);
  }
  expect(besideCommand(812).at(-1)).toBe("812");
});

test("specFields are user, sockets, open files, workdir, environment with its count, command", () => {
  const path = "PATH=/bin";
  expect(specFields({ ...PROGRAM, limits: { files: 64 } }, 61184, 2)).toEqual([
    ...["61184", "2", "64", "/opt/shop", "2", path, "A=x=y"],
    ...["/usr/bin/node", "server.mjs"],
  ]);
});

test("specFields give the usual PATH where an image sets none, and / where it names no directory", () => {
  const fields = specFields({ command: ["sh"], env: {}, workdir: "" }, 61184, 0);
  expect(fields).toEqual([
    ...["61184", "0", "0", "/", "1"],
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "sh",
  ]);
});
