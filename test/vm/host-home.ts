import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withLock } from "../../effects/lock.ts";
import { run } from "../../effects/process.ts";
import { openSource } from "../../effects/source.ts";
import { homeOf, openSigner } from "../../keys/authority.ts";
import { appendEnvelopes, readEnvelopes } from "../../keys/envelopes.ts";
import type { Digest } from "../../manifests/digest.ts";
import { runOstler } from "../run-ostler.ts";
import { markOf, provenanceOf } from "../small-image.ts";

const root = join(import.meta.dirname, "../..");

/** What making a host's home, a disk of it and a machine needs. */
export const HOST_PROGRAMS = [
  ...["qemu-system-x86_64", "sgdisk", "mkfs.vfat", "mcopy", "mkfs.btrfs"],
  ...["mmdebstrap", "ssh", "ssh-keygen"],
];

/** Milliseconds that another test may take to build the host first. */
const BUILD_LIMIT = 30 * 60_000;

/** A home with recipes/host built, signed and released to production, and a key that its machines let in. */
export interface HostHome {
  directory: string;
  repository: string;
  sshKey: string;
  image: Digest;
  /** Builds a recipe, signs it as tested, and releases it to production. Answers the image. */
  release(recipe: string, version?: string): Promise<Digest>;
  /** Makes the first disk of a node, as an operator does. */
  makeDisk(output: string, hostName: string): Promise<void>;
}

/** The host as this tree has it; built once, and from its cache after that. */
export async function openHostHome(): Promise<HostHome> {
  const vm = join(root, ".ostler/vm");
  const directory = join(vm, "home");
  mkdirSync(directory, { recursive: true });
  return await withLock(join(vm, "home"), () => prepare(directory), BUILD_LIMIT);
}

async function prepare(directory: string): Promise<HostHome> {
  const ostler = async (...args: string[]) => {
    const ended = await runOstler(directory, args);
    if (ended.exitCode !== 0) throw new Error(`ostler ${args.join(" ")}: exit code ${ended.exitCode}\n${ended.stderr}`);
    return ended.json as { descriptor: { digest: Digest } };
  };
  const sshKey = join(directory, "ssh-key");
  if (!existsSync(sshKey)) await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", sshKey]);
  if (!existsSync(join(directory, "keys"))) await ostler("keys", "init");
  await run([process.execPath, join(root, "bundle.ts"), join(root, "recipes/host/dist")], { cwd: root });
  await ostler("keys", "refresh");
  const release = async (recipe: string, version?: string) => {
    const { descriptor } = await ostler("build", recipe);
    await signAsTested(directory, descriptor.digest);
    await ostler("promote", "host", ...(version === undefined ? [] : ["--version", version]));
    return descriptor.digest;
  };
  return {
    directory,
    repository: join(directory, "repository"),
    sshKey,
    image: await release(join(root, "recipes/host/host.recipe")),
    release,
    async makeDisk(output, hostName) {
      const identity = `${output}.identity.json`;
      const authorizedKeys = { root: [readFileSync(`${sshKey}.pub`, "utf8").trim()] };
      writeFileSync(identity, JSON.stringify({ schema: 1, hostName, authorizedKeys, timeZone: "Europe/Berlin" }));
      await ostler("disk", "host", "--output", output, "--size", "4G", "--identity", identity);
    },
  };
}

async function signAsTested(home: string, image: Digest): Promise<void> {
  const store = join(home, "store");
  if ((await readEnvelopes(openSource(store), image)).length > 0) return;
  const [builder, tester] = await Promise.all([signer(home, "builder"), signer(home, "tester")]);
  await appendEnvelopes(store, image, [provenanceOf(image, builder), markOf(image, tester)]);
}

function signer(home: string, role: "builder" | "tester") {
  return openSigner(homeOf(home), role, undefined);
}
