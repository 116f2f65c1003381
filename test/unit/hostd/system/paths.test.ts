import fc from "fast-check";
import { expect, test } from "vitest";
import { checkId, pathsOf } from "../../../../hostd/system/paths.ts";
import { createQueue, createQueues } from "../../../../hostd/system/queue.ts";

const paths = pathsOf({ stateDirectory: "/var/lib/hostd", runDirectory: "/run/hostd" });

test("everything of an app lies below the two directories, whatever its name", () => {
  fc.assert(
    fc.property(fc.string(), (app) => {
      const made = [() => paths.data(app), () => paths.appRun(app), () => paths.log(app, 1)].map(tryTo);
      for (const path of made)
        expect(path === undefined || /^\/(var\/lib|run)\/hostd\/\w+\/[a-z0-9-]+(\/|$)/.test(path)).toBe(true);
    }),
  );
});

test("ids of snapshots cannot leave their directory", () => {
  for (const id of ["../x", "a/b", "", ".", "..", ".making-x", "a\0b", "x".repeat(129)]) {
    expect(() => checkId(id)).toThrow(expect.objectContaining({ code: "wrong-name" }));
  }
  expect(checkId("change-7.before_1")).toBe("change-7.before_1");
});

test("layers are named by their verity root, slots by app and the digest's first 12 digits", () => {
  const root = "ab".repeat(32);
  expect(paths.layerFile(root)).toBe(`/var/lib/hostd/layers/${root}.erofs`);
  expect(paths.slot("shop", `sha256:${root}`)).toBe("/run/hostd/slots/shop/abababababab");
  expect(() => paths.layerFile("../x")).toThrow(expect.objectContaining({ code: "wrong-name" }));
});

test("a queue runs one task after the other, also after one that failed", async () => {
  const inTurn = createQueue();
  const order: string[] = [];
  const task = (name: string, wait: number, fails = false) =>
    inTurn(async () => {
      order.push(`${name} begins`);
      await new Promise((resolve) => setTimeout(resolve, wait));
      order.push(`${name} ends`);
      if (fails) throw new Error(name);
    });
  const results = await Promise.allSettled([task("one", 5, true), task("two", 1), task("three", 0)]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
  expect(order).toEqual(["one", "two", "three"].flatMap((name) => [`${name} begins`, `${name} ends`]));
});

test("queues of two keys do not wait for each other, tasks of one key do", async () => {
  const inTurn = createQueues();
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const order: string[] = [];
  const task = (key: string, name: string, until?: Promise<void>) =>
    inTurn(key, async () => {
      await until;
      order.push(name);
    });
  const first = task("shop", "first", held);
  const second = task("shop", "second");
  await task("mail", "other");
  release();
  await Promise.all([first, second]);
  expect(order).toEqual(["other", "first", "second"]);
});

function tryTo(make: () => string): string | undefined {
  try {
    return make();
  } catch {
    return undefined; // refused, which is the other right outcome
  }
}
