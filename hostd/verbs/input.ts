import { Failure } from "../../manifests/failure.ts";

/** Bytes that are taken from standard input at most. */
const INPUT_LIMIT = 128 * 1024;

/** Standard input to its end, as text. */
export async function readInput(): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > INPUT_LIMIT) throw bad(`at most ${INPUT_LIMIT} bytes`);
    chunks.push(chunk);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw bad("UTF-8 text");
  }
}

function bad(expected: string): Failure {
  return new Failure("usage", "bad-input", `standard input: expected ${expected}`);
}
