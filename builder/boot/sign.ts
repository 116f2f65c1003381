import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../effects/process.ts";
import { withTemporaryDirectory } from "../../effects/temporary.ts";
import { BuildError } from "../error.ts";
import { expectPrograms } from "../programs.ts";
import type { UkiParts } from "./uki.ts";

/** Key and certificate that the firmware's db trusts, as PEM files. */
export interface Signer {
  key: string;
  certificate: string;
}

/** The parts of the UKI as it is shipped; signed, there is one part more, and the head holds where it lies. */
export async function signed(parts: UkiParts, signer: Signer | undefined): Promise<Buffer[]> {
  const { head, linux, initrd } = parts;
  if (signer === undefined) return [head, linux, initrd];
  const file = await signEfi(Buffer.concat([head, linux, initrd]), signer);
  const linuxEnd = head.length + linux.length;
  const initrdEnd = linuxEnd + initrd.length;
  const same = file.subarray(head.length, linuxEnd).equals(linux) && file.subarray(linuxEnd, initrdEnd).equals(initrd);
  if (!same)
    throw new BuildError("boot-file", "sbsign: expected kernel and initrd where they were, got them elsewhere");
  return [file.subarray(0, head.length), linux, initrd, file.subarray(initrdEnd)];
}

/** An EFI program with a signature (Authenticode) that firmware checks under Secure Boot. */
export async function signEfi(program: Buffer, { key, certificate }: Signer): Promise<Buffer> {
  expectPrograms("sbsign");
  return await withTemporaryDirectory(tmpdir(), async (work) => {
    const [input, output] = [join(work, "unsigned.efi"), join(work, "signed.efi")];
    await writeFile(input, program);
    await run(["sbsign", "--key", key, "--cert", certificate, "--output", output, input]);
    return await readFile(output);
  });
}
