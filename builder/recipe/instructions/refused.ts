import type { Draft } from "../draft.ts";
import { ProblemFound, type ProblemText } from "../problem.ts";
import { atKeyword, type Instruction } from "../split.ts";

const INSTEAD: Readonly<Record<string, string>> = {
  VOLUME:
    "an image is read-only: declare what the app writes with DATA /path, which is kept, versioned and snapshotted",
  ONBUILD: "write the instruction into the recipe that starts FROM this image",
};

/** Instructions of Dockerfiles that mean nothing here; each says what does its work. */
export function refuse(instruction: Instruction, _draft: Draft): void {
  const text: ProblemText = {
    code: "not-supported",
    message: `${instruction.keyword} is not supported`,
    hint: INSTEAD[instruction.keyword],
  };
  throw new ProblemFound(atKeyword(instruction, text));
}
