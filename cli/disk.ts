import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Choice, chooseUnverified, chooseVerified } from "../builder/disk/choose.ts";
import { type DiskResult, makeDisk } from "../builder/disk/disk.ts";
import { FILESYSTEMS, type Filesystem, parseSize } from "../builder/disk/layout.ts";
import { unlessMissing } from "../effects/errno.ts";
import { withTemporaryDirectory } from "../effects/temporary.ts";
import { seedPath } from "../keys/truststate.ts";
import { shortDigest } from "../manifests/digest.ts";
import { checkDocument } from "../manifests/document.ts";
import { Failure } from "../manifests/failure.ts";
import { type Identity, identitySchema, parseIdentity } from "../manifests/identity.ts";
import type { Release } from "../manifests/release.ts";
import { bytes, table } from "../terminal/table.ts";
import type { Answer, Invocation, Verb } from "../terminal/verb.ts";
import { homeOption, referenceOf, repositoryOption, stringOption } from "./trust-options.ts";

type Options = Invocation["options"];

export const verb: Verb = {
  name: "disk",
  summary: "make the first bootable disk of a host image",
  arguments: [{ name: "<image>", summary: "product released in the channel, or an image's whole digest" }],
  options: [
    { flags: "--output <file>", summary: "the disk to make" },
    { flags: "--format <format>", summary: "raw (sparse) or qcow2", default: "raw", choices: ["raw", "qcow2"] },
    { flags: "--size <size>", summary: "size of the disk", default: "10G" },
    { flags: "--esp-size <size>", summary: "size of the ESP (default: room for five versions and recovery)" },
    { flags: "--filesystem <kind>", summary: "of the data partition", default: "btrfs", choices: FILESYSTEMS },
    { flags: "--identity <file>", summary: "identity document: host name, who may log in, network, repository" },
    { flags: "--enroll <dir>", summary: "PK.auth, KEK.auth and db.auth that the firmware takes over (Secure Boot)" },
    { flags: "--channel <channel>", summary: "channel whose rules apply", default: "production" },
    {
      flags: "--unverified",
      summary: "take the store's image as it is, for developers: ask for no mark and no release",
    },
    repositoryOption,
  ],
  examples: [
    "ostler disk host --output host.img --identity node-1.json",
    "ostler disk host --unverified --size 4G --format qcow2 --output host.qcow2",
  ],
  async run({ arguments: [argument], options, progress, signal }) {
    const { directory, ...home } = homeOption(options);
    const output = stringOption(options, "output");
    if (output === undefined) {
      throw new Failure("usage", "bad-option", "--output: expected the file to make", { hint: "ostler disk --help" });
    }
    const channel = stringOption(options, "channel") ?? "production";
    const reference = referenceOf(argument);
    const identity = await readIdentity(options, home.trust);
    const builtStore = join(directory, "store");
    const sizes = readSizes(options);
    const result = await withTemporaryDirectory(join(directory, "work"), async (work) => {
      const choice: Choice =
        options["unverified"] === true
          ? await chooseUnverified(builtStore, reference)
          : await chooseVerified({ home, builtStore, reference, channel, work });
      const { store, image, release } = choice;
      const format = options["format"] === "qcow2" ? "qcow2" : "raw";
      const filesystem = options["filesystem"] as Filesystem;
      return {
        release,
        ...(await makeDisk({
          store,
          image,
          release,
          identity,
          output,
          format,
          filesystem,
          enroll: stringOption(options, "enroll"),
          ...sizes,
          progress,
          signal,
        })),
      };
    });
    return answer(result, options["unverified"] === true);
  },
};

function readSizes(options: Options): { size: number; espSize: number | undefined } {
  const espSize = stringOption(options, "espSize");
  return {
    size: parseSize("--size", stringOption(options, "size") ?? ""),
    espSize: espSize === undefined ? undefined : parseSize("--esp-size", espSize),
  };
}

/** The identity given, or one that says no more than it must; where it names no root, it is the one this home trusts. */
async function readIdentity(options: Options, trust: string): Promise<Identity> {
  const file = stringOption(options, "identity");
  const identity = parseIdentity(file === undefined ? Buffer.from(NAMELESS) : await readFile(file), file);
  if (identity.root !== undefined) return identity;
  const root = await unlessMissing(readFile(seedPath(trust), "utf8"));
  return root === undefined ? identity : checkDocument({ ...identity, root: JSON.parse(root) }, identitySchema, trust);
}

const NAMELESS = '{"schema":1,"hostName":"ostler"}';

function answer(
  { output, image, boot, layout, allocated, release }: DiskResult & { release: Release | undefined },
  unverified: boolean,
): Answer {
  const { esp, data, room, size, filesystem } = layout;
  const rows = layout.partitions.map(({ number, label, size }) => [
    String(number),
    label,
    bytes(size),
    describe(label),
  ]);
  function describe(label: string): string {
    const uki = `UKI ${bytes(boot.uki.size)}${boot.recovery === undefined ? "" : `, recovery ${bytes(boot.recovery.uki.size)}`}`;
    if (label === esp.label) return `vfat, systemd-boot, ${uki}; room for ${room.esp} versions`;
    if (label === data.label) return `${filesystem === "lvm" ? "ext4" : filesystem}; room for ${room.data} versions`;
    return "for a thin pool of apps' data, made at first boot";
  }
  const from =
    release === undefined ? (unverified ? ", not verified" : "") : `, release ${release.sequence} (${release.version})`;
  return {
    json: {
      schema: 1,
      output,
      image,
      verified: !unverified,
      ...(release === undefined ? {} : { release: { product: release.product, sequence: release.sequence } }),
      root: boot.root,
      kernel: boot.kernel,
      size,
      allocated,
      filesystem,
      partitions: layout.partitions,
      room,
    },
    text: [
      table(["", "PARTITION", "SIZE", "HOLDS"], rows),
      "",
      `${output}: ${bytes(size)}, ${bytes(allocated)} on disk; image ${shortDigest(image)}${from}, kernel ${boot.kernel}`,
    ].join("\n"),
  };
}
