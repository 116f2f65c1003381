import { nearest } from "../../terminal/nearest.ts";
import { type Argument, badValue } from "./arguments.ts";
import type { Draft } from "./draft.ts";
import { quote } from "./problem.ts";
import type { TreeSource } from "./recipe.ts";
import { readReference } from "./reference.ts";
import { fail, type Instruction } from "./split.ts";

/** Whose files `--from=` and a mount's `from=` read: `bootstrap` (or the name FROM gave it), or another image. */
export function readTreeSource(instruction: Instruction, draft: Draft, at: Argument): TreeSource {
  const name = at.value.toLowerCase();
  const stages = ["bootstrap", ...(draft.base?.alias === undefined ? [] : [draft.base.alias])];
  if (stages.includes(name)) return bootstrap(instruction, draft, at);
  const suggestion = /^[A-Za-z0-9_-]+$/.test(at.value) ? nearest(at.value, stages) : undefined;
  if (suggestion !== undefined || /^\d+$/.test(at.value)) {
    badValue(instruction, at, `unknown source ${quote(at.value)}`, {
      expected: "bootstrap or an image",
      suggestion: suggestion ?? "bootstrap",
    });
  }
  const from = readReference(instruction, at);
  if (from.kind === "scratch") {
    badValue(instruction, at, "scratch holds no files", { expected: "bootstrap or an image" });
  }
  return { tree: "image", from };
}

function bootstrap(instruction: Instruction, draft: Draft, at: Argument): TreeSource {
  if (draft.phase === "deploy") return { tree: "bootstrap" };
  return fail(instruction, at.start, at.end, {
    code: "bad-section",
    message: `${quote(at.value)} is not finished yet`,
    expected: "an image: files of BOOTSTRAP can be taken in DEPLOY alone",
  });
}
