import { describe, expect, test } from "vitest";
import type { Engine } from "../../../../hostd/engine.ts";
import { removeUnusedHostFiles } from "../../../../hostd/host/staging.ts";
import { type Digest, digestFromHex } from "../../../../manifests/digest.ts";
import { engineOf, versionOf } from "./staged.ts";

const [RUNS, OLD, OLDER] = ["1", "2", "3"].map((digit) => digit.repeat(64)) as [string, string, string];
const [KEPT, PART, OTHER] = ["a", "b", "c"].map((digit) => digestFromHex(digit.repeat(64))) as [Digest, Digest, Digest];
/** A version of one part, which is its whole UKI. */
const versionWith = (digit: string, part: Digest) => versionOf(digit, { parts: [{ digest: part, size: 30 }] });

/** A host that runs version 1, with files of two versions that are not here any more; `during` comes first in each removal. */
function nodeOf(during: (what: string, engine: Engine) => void) {
  const there = new Set<string>([RUNS, OLD, OLDER, KEPT, PART, OTHER]);
  const listed = (names: readonly string[]) => async () => names.filter((name) => there.has(name));
  const engine = engineOf([versionWith("1", KEPT)], {
    machine: { booted: RUNS, started: RUNS },
    files: {
      good: async () => RUNS,
      roots: listed([RUNS, OLD, OLDER]),
      parts: listed([KEPT, PART, OTHER]),
      async removeRoot(root: string) {
        there.delete(root);
      },
      async removePart(digest: string) {
        during(digest, engine);
        there.delete(digest);
      },
    },
    etc: {
      async remove(root: string) {
        during(root, engine);
        return true;
      },
    },
  });
  return { engine, there };
}

function beginStaging({ journal }: Engine, found: ReturnType<typeof versionOf>) {
  const plan = { stage: { channel: "production", found } };
  journal.operations.begin({ requestId: "again", kind: "stage", app: "host", caller: "test", plan });
}

describe("removeUnusedHostFiles", () => {
  test("takes what no version here has, and nothing else", async () => {
    const { engine, there } = nodeOf(() => {});
    const gone = [`root ${OLD}`, `root ${OLDER}`, `part ${PART}`, `part ${OTHER}`];
    expect(await removeUnusedHostFiles(engine)).toEqual(gone);
    expect([...there]).toEqual([RUNS, KEPT]);
  });

  test.each([
    ["another root was removed", OLD, [`root ${OLD}`, `part ${PART}`]],
    ["its own /etc was removed", OLDER, [`root ${OLD}`, `part ${PART}`]],
    ["another part was removed", PART, [`root ${OLD}`, `root ${OLDER}`, `part ${PART}`]],
  ])("leaves what a staging found there which began while %s", async (_, moment, gone) => {
    const { engine, there } = nodeOf((what, node) => {
      if (what === moment) beginStaging(node, versionWith("3", OTHER));
    });
    expect(await removeUnusedHostFiles(engine)).toEqual(gone);
    expect(there).toContain(OTHER);
    expect(there.has(OLDER)).toBe(!gone.includes(`root ${OLDER}`));
  });
});
