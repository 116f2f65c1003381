import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { unlessMissing } from "../../effects/errno.ts";
import { bootOf } from "../../manifests/boot.ts";
import { EXIT_CODES } from "../../manifests/failure.ts";
import { parseIdentity } from "../../manifests/identity.ts";
import { appOf, parseImageConfig, parseManifest } from "../../manifests/image.ts";
import type { Answer, Verb } from "../../terminal/verb.ts";
import { openRecoveryDisk, type RecoveryDisk } from "../recovery/disk.ts";
import { installFrom } from "../recovery/install.ts";
import { recoverLocally } from "../recovery/local.ts";
import { text } from "./answer.ts";

export const verb: Verb = {
  name: "recover",
  summary: "make a host that cannot start bootable again; runs in the recovery system alone",
  arguments: [
    { name: "[repository]", summary: "repository that was pushed here, or its address; without it, what the disk has" },
  ],
  options: [
    { flags: "--product <name>", summary: "the host's product (default: the one that this disk was made of, or host)" },
    { flags: "--channel <channel>", summary: "channel that the release must be in (default: the node's)" },
    {
      flags: "--root <file>",
      summary: "root.json to trust, where the disk has lost its own",
      default: "/etc/hostd/root.json",
    },
    { flags: "--state <dir>", summary: "the host's state", default: "/var/lib/hostd" },
    { flags: "--efi <dir>", summary: "where the ESP is mounted", default: "/efi" },
    { flags: "--machine <dir>", summary: "where /proc is, but in tests", default: "/" },
  ],
  examples: ["hostd recover", "hostd recover /var/lib/hostd/repository"],
  async run({ arguments: [repository], options, signal }) {
    const stateDirectory = resolve(text(options["state"]) ?? "");
    const disk = await openRecoveryDisk({
      stateDirectory,
      runDirectory: "/run/hostd",
      espDirectory: resolve(text(options["efi"]) ?? ""),
      machine: resolve(text(options["machine"]) ?? "/"),
    });
    const log = (line: string) => void process.stderr.write(`${line}\n`);
    if (typeof repository !== "string") return localAnswer(await recoverLocally(disk, log));
    const node = await nodeOf(stateDirectory, disk);
    const found = await installFrom(disk, {
      repository: /^https?:/.test(repository) ? repository : resolve(repository),
      product: text(options["product"]) ?? node.product,
      channel: text(options["channel"]) ?? node.channel,
      root: text(options["root"]) ?? "",
      now: () => new Date(),
      signal,
      log,
    });
    const root = bootOf(parseManifest(Buffer.from(found.manifest)))?.root;
    return {
      json: { schema: 1, restored: root, version: found.version, sequence: found.sequence },
      text: `${found.version} is what this machine boots from now on: reboot`,
    };
  },
};

/** What this node is updated with, from its identity and from what its disk was made of. */
async function nodeOf(stateDirectory: string, { files }: RecoveryDisk): Promise<{ product: string; channel: string }> {
  const bytes = await unlessMissing(readFile(join(stateDirectory, "host/identity/identity.json")));
  const seed = await files.seed();
  return {
    product: (seed && appOf(parseImageConfig(Buffer.from(seed.config)))?.name) ?? "host",
    channel: (bytes && parseIdentity(bytes).repository?.channel) ?? "production",
  };
}

function localAnswer({ restored, candidates }: Awaited<ReturnType<typeof recoverLocally>>): Answer {
  const failed = "nothing on this disk can be booted: push a repository here, then hostd recover DIRECTORY";
  return {
    json: { schema: 1, restored, candidates: candidates.map(({ root, problem }) => ({ root, problem })) },
    text:
      restored === undefined ? failed : `root ${restored.slice(0, 12)} is what this machine boots from now on: reboot`,
    exitCode: restored === undefined ? EXIT_CODES.failed : EXIT_CODES.ok,
  };
}
