import { BLOCK_SIZE, FIELDS } from "./format.ts";

const [START, LENGTH] = FIELDS.checksum;

/** The sum of a header's bytes, with spaces for the checksum itself. Some old writers summed signed bytes. */
export function checksumOf(block: Buffer, bytes: "unsigned" | "signed" = "unsigned"): number {
  let sum = LENGTH * 0x20;
  for (let index = 0; index < BLOCK_SIZE; index++) {
    if (index === START) index += LENGTH;
    const byte = block[index] ?? 0;
    sum += bytes === "signed" && byte > 127 ? byte - 256 : byte;
  }
  return sum;
}
