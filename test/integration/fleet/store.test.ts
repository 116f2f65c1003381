import { mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { withTemporaryDirectory } from "../../../effects/temporary.ts";
import { createRollout, listRollouts, requireRollout, saveRollout } from "../../../fleet/rollout/store.ts";
import { rolloutExample } from "../../../manifests/rollout.ts";

const { id: _, ...begun } = rolloutExample;

test("a start that was killed before its record was written takes no number, and hinders no next one", () =>
  withTemporaryDirectory(tmpdir(), async (directory) => {
    mkdirSync(join(directory, "shop-1"));
    expect((await listRollouts(directory)).rollouts).toEqual([]);
    expect((await createRollout(directory, begun)).id).toBe("shop-1");
    await expect(createRollout(directory, begun)).rejects.toMatchObject({ code: "rollout-under-way", outcome: "busy" });
  }));

test("a record that cannot be read keeps its own product from a new start, and nothing else from anything", () =>
  withTemporaryDirectory(tmpdir(), async (directory) => {
    const sound = await createRollout(directory, begun);
    await saveRollout(directory, { ...sound, state: "done" });
    mkdirSync(join(directory, "shop-2"));
    writeFileSync(join(directory, "shop-2/rollout.json"), '{"schema":1,"id":"sh');
    const { rollouts, damaged } = await listRollouts(directory);
    expect(rollouts.map(({ id }) => id)).toEqual(["shop-1"]);
    expect(damaged.map(({ id }) => id)).toEqual(["shop-2"]);
    expect((await requireRollout(directory, "shop-1")).state).toBe("done");
    await expect(createRollout(directory, begun)).rejects.toMatchObject({
      code: "record",
      hint: expect.stringContaining("shop-2"),
    });
    const other = { ...begun, file: { ...begun.file, product: "till" } };
    expect((await createRollout(directory, other)).id).toBe("till-1");
  }));
