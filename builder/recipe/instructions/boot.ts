import { type Argument, badValue, type FlagSpecs, flag, missing, onlyWord, readArguments } from "../arguments.ts";
import type { Draft } from "../draft.ts";
import { ProblemFound, quote } from "../problem.ts";
import { positionAt } from "../source.ts";
import { atKeyword, fail, type Instruction } from "../split.ts";
import { imagePath } from "../values.ts";

const FLAGS: FlagSpecs = {
  initrd: { kind: "value" },
  cmdline: { kind: "value" },
  stub: { kind: "value" },
  recovery: { kind: "value" },
  "recovery-files": { kind: "value" },
};

/** Where Debian's systemd-boot-efi puts what firmware starts of a UKI. */
const STUB = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";

/** Characters of the recipe's part of the command line; the kernel takes 2048 in all, and the builder's part comes first. */
const LONGEST_CMDLINE = 1536;

/** Words of the command line that the builder gives: a second one would win over what is signed. */
const RESERVED = /^(?:ostler\.root|ostler\.recovery|panic|oops|init|rdinit|root|initrd)(?:=|$)/;

/**
 * `BOOT kernel --initrd=path [--cmdline="words"] [--stub=path] [--recovery=path [--recovery-files=directory]]`: makes the
 * image a host image.
 */
export function readBoot(instruction: Instruction, draft: Draft): void {
  const { flags, words } = readArguments(instruction, draft, FLAGS);
  const kernelAt = onlyWord(instruction, words, "the path of a kernel, such as /boot/vmlinuz");
  if (draft.image.boot !== undefined) {
    const message = `second BOOT: the first is in line ${draft.image.boot.position.line}`;
    throw new ProblemFound(atKeyword(instruction, { code: "duplicate", message, expected: "one BOOT" }));
  }
  const initrdAt = flag(flags, "initrd");
  if (initrdAt === undefined) missing(instruction, "--initrd=PATH, such as --initrd=/boot/initrd.img");
  const stubAt = flag(flags, "stub");
  const recoveryAt = flag(flags, "recovery");
  const filesAt = flag(flags, "recovery-files");
  if (filesAt !== undefined && recoveryAt === undefined) missing(instruction, "--recovery=PATH with --recovery-files");
  draft.image.boot = {
    kernel: bootPath(instruction, draft, kernelAt),
    initrd: bootPath(instruction, draft, initrdAt),
    stub: stubAt === undefined ? STUB : bootPath(instruction, draft, stubAt),
    ...(recoveryAt === undefined ? {} : { recovery: bootPath(instruction, draft, recoveryAt) }),
    ...(filesAt === undefined ? {} : { recoveryFiles: bootPath(instruction, draft, filesAt) }),
    cmdline: commandLine(instruction, flag(flags, "cmdline")),
    position: positionAt(instruction.line, instruction.start),
  };
}

function bootPath(instruction: Instruction, draft: Draft, at: Argument): string {
  const path = imagePath(instruction, at, draft.scope.workdir);
  if (at.value.startsWith("/")) return path;
  const message = `path ${quote(at.value)} is relative`;
  return fail(instruction, at.start, at.end, { code: "bad-path", message, expected: "an absolute path of the image" });
}

function commandLine(instruction: Instruction, at: Argument | undefined): string {
  if (at === undefined) return "";
  const text = at.value.trim().replace(/ +/g, " ");
  if (!/^[\x20-\x7e]*$/.test(text)) badValue(instruction, at, "command line has other than printable ASCII characters");
  if (text.length > LONGEST_CMDLINE) {
    badValue(instruction, at, "command line is too long", { expected: `at most ${LONGEST_CMDLINE} characters` });
  }
  const reserved = text.split(" ").find((word) => RESERVED.test(word));
  if (reserved === undefined) return text;
  return badValue(instruction, at, `command line sets ${quote(reserved)}, which the builder decides`, {
    expected: "words such as console=ttyS0",
    hint: "the root is the image's own layers, and a kernel that panics has to reset the machine",
  });
}
