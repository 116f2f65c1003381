import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../effects/process.ts";

/** hostd as a Debian package: what recipes/host copies in DEPLOY. Each version differs in one line of hostd. Answers the file. */
export async function hostdPackage(directory: string, bundle: string, version: number): Promise<string> {
  const tree = join(directory, `hostd-${version}`);
  await rm(tree, { recursive: true, force: true });
  await mkdir(join(tree, "DEBIAN"), { recursive: true });
  const files = join(tree, "usr/lib/hostd");
  await cp(bundle, files, { recursive: true, filter: (path) => path !== join(bundle, "node") });
  await writeFile(join(files, "hostd.cjs"), `${await readFile(join(files, "hostd.cjs"), "utf8")}\n// ${version}\n`);
  const control = `Package: ostler-hostd\nVersion: ${version}\nArchitecture: amd64\nMaintainer: bench\nDescription: hostd\n`;
  await writeFile(join(tree, "DEBIAN/control"), control);
  const restart =
    "#!/bin/sh\nif [ -d /run/systemd/system ]; then systemctl daemon-reload; systemctl restart hostd; fi\n";
  await writeFile(join(tree, "DEBIAN/postinst"), restart, { mode: 0o755 });
  const file = join(directory, `ostler-hostd_${version}_amd64.deb`);
  await run(["dpkg-deb", "--root-owner-group", "--build", tree, file]);
  return file;
}

/** The same package under a later version: its content goes over the old one as any new content would. */
export async function laterPackage(file: string, directory: string, version: number): Promise<string> {
  const work = join(directory, `later-${version}`);
  await rm(work, { recursive: true, force: true });
  await mkdir(join(work, "control"), { recursive: true });
  const later = join(work, "later.deb");
  await cp(file, later);
  const script = [
    `ar p ${later} control.tar.xz | tar -xJ -C control`,
    `sed -i 's/^Version: .*/&+bench${version}/' control/control`,
    "tar -cJf control.tar.xz -C control .",
    `ar r ${later} control.tar.xz 2>/dev/null`,
  ];
  await run(["sh", "-ec", script.join("\n")], { cwd: work });
  return later;
}

/** A repository in the manner of apt, in a directory: the packages and their list. Answers its bytes. */
export async function aptRepository(directory: string, packages: readonly string[]): Promise<number> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  for (const [index, file] of packages.entries()) await cp(file, join(directory, `${index}.deb`));
  await run(["sh", "-ec", "dpkg-scanpackages --multiversion . 2>/dev/null >Packages"], { cwd: directory });
  const { stdout } = await run(["du", "-sb", "--apparent-size", directory]);
  return Number(stdout.split("\t")[0]);
}
