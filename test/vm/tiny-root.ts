import { chmod, copyFile, mkdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { run } from "../../effects/process.ts";
import { type RootLayer, rootDigestOf, rootListOf } from "../../images/boot/roots.ts";
import { layDown } from "../../images/layer/laydown.ts";
import { packLayer } from "../../images/layer/pack.ts";
import { walkDirectory } from "../../images/layer/walk.ts";
import { openStore } from "../../images/store.ts";
import { verityOf } from "../../manifests/image.ts";

/** A root of two small layers, laid down as a node has it; its /sbin/init runs `script` and powers the machine off. */
export interface TinyRoot {
  digest: string;
  list: string;
  layers: (RootLayer & { file: string })[];
}

export interface TinyDisk {
  file: string;
  /** A file of the data partition, as it is now. */
  read(path: string): Promise<string>;
}

export async function makeTinyRoot(work: string, script: string): Promise<TinyRoot> {
  const store = await openStore(join(work, "store"));
  const trees = [join(work, "base"), join(work, "deploy")];
  const [base = "", deploy = ""] = trees;
  for (const name of ["bin", "sbin", "etc", "var", "proc", "sys", "dev", "run"]) {
    await mkdir(join(base, name), { recursive: true });
  }
  await copyFile("/bin/busybox", join(base, "bin/busybox"));
  await symlink("busybox", join(base, "bin/sh"));
  await writeFile(join(base, "etc/hostname"), "of the image\n");
  await writeFile(join(base, "etc/image"), "of the image\n");
  await mkdir(join(deploy, "sbin"), { recursive: true });
  await writeFile(join(deploy, "sbin/init"), `${INIT}${script}\nsync\npoweroff -f\n`);
  await chmod(join(deploy, "sbin/init"), 0o755);
  await writeFile(join(deploy, "large"), "signed ".repeat(100_000));
  const layers: TinyRoot["layers"] = [];
  const descriptors = [];
  for (const [index, tree] of trees.entries()) {
    const packed = await packLayer(store, await walkDirectory(tree), { section: index === 0 ? "base" : "deploy" });
    const verity = verityOf(packed.descriptor);
    const file = join(work, `${verity.root}.erofs`);
    await layDown(store.pathOf(packed.descriptor.digest), packed.descriptor, file);
    layers.push({ root: verity.root, size: verity.size, file });
    descriptors.push(packed.descriptor);
  }
  const list = rootListOf({ layers: descriptors });
  return { digest: rootDigestOf(list), list, layers };
}

const INIT = `#!/bin/sh
exec >/dev/console 2>&1
for name in cat sync poweroff grep mount touch ls dd; do eval "$name() { busybox $name \\"\\$@\\"; }"; done
`;

/** What the data partition of a test holds: content, or the file to copy, by path. */
export type Files = Record<string, string | { file: string }>;

/** A partitioned disk whose data partition, in `filesystem`, holds the files; `label` is its name in the table. */
export async function makeTinyDisk(
  work: string,
  files: Files,
  { filesystem = "ext4", label = "ostler-data" } = {},
): Promise<TinyDisk> {
  const [tree, part, disk] = [join(work, "tree"), join(work, "part"), join(work, "disk")];
  await rm(tree, { recursive: true, force: true });
  await mkdir(tree, { recursive: true });
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    if (typeof content === "string") await writeFile(join(tree, path), content);
    else await copyFile(content.file, join(tree, path));
  }
  await rm(part, { force: true });
  await rm(disk, { force: true });
  await writeFile(part, "");
  await truncate(part, SIZE);
  if (filesystem === "ext4") await run(["mkfs.ext4", "-q", "-F", "-d", tree, part]);
  else await run(["mkfs.btrfs", "-q", "--rootdir", tree, part]);
  await writeFile(disk, "");
  await truncate(disk, SIZE + 4 * START);
  await run([
    "sgdisk",
    "-n",
    "1:2048:+2M",
    "-t",
    "1:ef00",
    "-c",
    "1:ESP",
    "-n",
    `2:${(3 * START) / 512}:0`,
    "-c",
    `2:${label}`,
    disk,
  ]);
  await copyInto(part, disk, 3 * START);
  return {
    file: disk,
    async read(path) {
      await run(["dd", `if=${disk}`, `of=${part}`, "bs=1M", "skip=3", `count=${SIZE / START}`, "conv=sparse"]);
      if (filesystem === "ext4") {
        await run(["sh", "-c", 'e2fsck -fp "$1" || [ $? = 1 ]', "sh", part]); // replays what a reset left in its journal
        return (await run(["debugfs", "-R", `cat ${path}`, part])).stdout;
      }
      const restored = join(work, "restored");
      await run(["btrfs", "restore", part, (await mkdir(restored, { recursive: true })) ?? restored]);
      return await readFile(join(restored, path), "utf8");
    },
  };
}

const START = 1024 * 1024;
const SIZE = 256 * START;

async function copyInto(from: string, to: string, offset: number): Promise<void> {
  await run(["dd", `if=${from}`, `of=${to}`, "bs=1M", `seek=${offset / START}`, "conv=notrunc,sparse"]);
}
