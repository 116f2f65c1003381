import { expect, test } from "vitest";
import { readLogOf } from "../../../../hostd/api/logs.ts";
import type { Engine } from "../../../../hostd/engine.ts";

/** Generation 2 runs, 1 ran before it; neither log has a line. */
function engineOf(kept: { onDisk: number[]; byLauncher: boolean }): Engine {
  const row = (number: number) => ({ app: "shop", number, version: `1.${number}.0`, state: "good", operation: 7 });
  const journal = {
    apps: { require: () => ({ current: 2 }), get: () => ({ current: 2 }) },
    generations: {
      require: (_: string, number: number) => row(number),
      get: (_: string, number: number) => row(number),
    },
    slots: { list: () => [] },
  };
  const node = { logs: async () => "", generations: async () => kept.onDisk, keepsLog: async () => kept.byLauncher };
  return { journal, node } as unknown as Engine;
}

test.each([
  { onDisk: [1, 2], byLauncher: true, of: 1, expected: "" },
  { onDisk: [2], byLauncher: true, of: 1, expected: "is not kept any more" },
  { onDisk: [1, 2], byLauncher: false, of: 1, expected: "is not kept any more" },
  { onDisk: [1, 2], byLauncher: false, of: 2, expected: "" },
])("readLogOf: an empty log is answered where it is kept, or of what runs: $onDisk $byLauncher $of", async (given) => {
  const answer = readLogOf(engineOf(given), "shop", { generation: given.of });
  if (given.expected === "") expect(await answer).toMatchObject({ generation: given.of, log: "" });
  else
    await expect(answer).rejects.toMatchObject({
      code: "unknown-image",
      message: expect.stringContaining(given.expected),
    });
});
