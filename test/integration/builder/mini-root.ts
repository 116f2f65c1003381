import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

const PROGRAMS =
  "bash cat chmod chown cp dash env getcap head id ip ls ln mkdir mknod mkfifo mv rm rmdir seq setcap sleep stat sync touch true false tr wc";

/** A root file system of a few of this machine's programs and their libraries, as tar: a base that needs no network. */
export function makeMiniRoot(tar: string, options: { without?: readonly string[] } = {}): void {
  const root = mkdtempSync(join(tmpdir(), "ostler-mini-"));
  try {
    chmodSync(root, 0o755);
    for (const directory of ["usr/bin", "usr/lib", "usr/lib64", "etc", "tmp", "root", "opt/base"])
      mkdirSync(join(root, directory), { recursive: true });
    for (const [link, target] of [
      ["bin", "usr/bin"],
      ["sbin", "usr/bin"],
      ["lib", "usr/lib"],
      ["lib64", "usr/lib64"],
    ] as const) {
      symlinkSync(target, join(root, link));
    }
    for (const name of PROGRAMS.split(" ")) if (!options.without?.includes(name)) addProgram(root, name);
    symlinkSync("dash", join(root, "usr/bin/sh"));
    writeFileSync(join(root, "opt/base/file"), "of the base\n");
    writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\napp:x:1200:1300:app:/home/app:/bin/sh\n");
    writeFileSync(join(root, "etc/group"), "root:x:0:\napp:x:1300:\nextra:x:1400:app\n");
    execFileSync("tar", [
      "--sort=name",
      "--mtime=@1000000000",
      "--owner=0",
      "--group=0",
      "--numeric-owner",
      "-cf",
      tar,
      "-C",
      root,
      ".",
    ]);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function addProgram(root: string, name: string): void {
  const path = spawnSync("sh", ["-c", `command -v ${name}`], { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } })
    .stdout.toString()
    .trim();
  const program = path.startsWith("/") ? path : `/usr/bin/${name}`;
  copyFileSync(realpathSync(program), join(root, "usr/bin", name));
  const libraries = execFileSync("ldd", [realpathSync(program)])
    .toString()
    .matchAll(/(\/\S+) \(0x/g);
  for (const [, library = ""] of libraries) {
    const target = join(root, library.replace(/^\/(?:usr\/)?/, "usr/"));
    if (existsSync(target)) continue;
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(realpathSync(library), join(dirname(target), basename(library)));
  }
}
