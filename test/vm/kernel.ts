import { mkdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { unlessMissing } from "../../effects/errno.ts";
import { withLock } from "../../effects/lock.ts";
import { ProcessError, run } from "../../effects/process.ts";
import { withTemporaryDirectory } from "../../effects/temporary.ts";

const CACHE = join(import.meta.dirname, "..", "..", ".ostler", "cache");
const META_PACKAGE = "linux-image-cloud-amd64";

/** Milliseconds that another test may take to fetch the kernel. */
const FETCH_LIMIT = 240_000;

export interface DebianKernel {
  release: string;
  /** /boot/vmlinuz-RELEASE. */
  image: string;
  /** The root of the unpacked package, with lib/modules/RELEASE. */
  tree: string;
}

/** Debian's kernel for virtual machines, fetched by apt and unpacked; once for each version, then kept. */
export async function debianKernel(): Promise<DebianKernel> {
  await mkdir(CACHE, { recursive: true });
  const name = await kernelPackage().catch(async (error: unknown) => {
    if (!(error instanceof ProcessError)) throw error;
    await run(["apt-get", "update", "-q"]);
    return await kernelPackage();
  });
  const release = name.replace(/^linux-image-/, "");
  const tree = join(CACHE, name);
  const there = async () => (await unlessMissing(stat(tree))) !== undefined;
  const found = { release, tree, image: join(tree, "boot", `vmlinuz-${release}`) };
  if (await there()) return found;
  await withLock(
    CACHE,
    async () => {
      if (!(await there())) await fetchKernel(name, tree, release);
    },
    FETCH_LIMIT,
  );
  return found;
}

/** The meta package depends on the one of the newest version. */
async function kernelPackage(): Promise<string> {
  const { stdout } = await run(["apt-cache", "show", "--no-all-versions", META_PACKAGE]);
  const name = /^Depends:.*?\b(linux-image-[\w.+-]+)/m.exec(stdout)?.[1];
  if (name === undefined) throw new Error(`${META_PACKAGE}: expected that it depends on a kernel, got\n${stdout}`);
  return name;
}

async function fetchKernel(name: string, tree: string, release: string): Promise<void> {
  await withTemporaryDirectory(CACHE, async (work) => {
    await run(["apt-get", "download", "-q", name], { cwd: work });
    const unpacked = join(work, "tree");
    const archive = (await run(["find", work, "-name", "*.deb"])).stdout.trim();
    await run(["dpkg-deb", "-x", archive, unpacked]);
    await run(["depmod", "-b", unpacked, release]);
    await rename(unpacked, tree);
  });
}

/** Paths of the modules and of what they need, in the order to load them. One that is built in needs none. */
export async function moduleFiles(kernel: DebianKernel, names: readonly string[]): Promise<string[]> {
  const shown = await Promise.all(
    names.map((name) => run(["modprobe", "-d", kernel.tree, "-S", kernel.release, "--show-depends", name])),
  );
  const lines = shown.flatMap(({ stdout }) => stdout.split("\n"));
  const files = lines.flatMap((line) => /^insmod (\S+)/.exec(line)?.[1] ?? []);
  return [...new Set(files)];
}
