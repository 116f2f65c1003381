import { describe, expect, it } from "vitest";
import { createTurns } from "../../../../hostd/stage/turns.ts";

const { signal } = new AbortController();
const never = () => {};

function gate() {
  let open = never;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open: () => open(), opened };
}

describe("createTurns", () => {
  it("runs no more than so many at once, the others in the order in which they came", async () => {
    const turns = createTurns(2);
    const begun: number[] = [];
    const gates = Array.from({ length: 5 }, gate);
    const work = (n: number, opened: Promise<void>) => () => {
      begun.push(n);
      return opened;
    };
    const all = gates.map(({ opened }, n) => turns.take(work(n, opened), signal, never));
    await Promise.resolve();
    expect(begun).toEqual([0, 1]);
    for (const [n, { open }] of gates.entries()) {
      open();
      await all[n];
    }
    expect(begun).toEqual([0, 1, 2, 3, 4]);
  });

  it("tells who waits how many come first, and again when that changes", async () => {
    const turns = createTurns(1);
    const [first, second] = [gate(), gate()];
    const told: number[] = [];
    const one = turns.take(() => first.opened, signal, never);
    const two = turns.take(() => second.opened, signal, never);
    const three = turns.take(
      async () => "done",
      signal,
      (before) => told.push(before),
    );
    first.open();
    await one;
    second.open();
    await two;
    expect(await three).toBe("done");
    expect(told).toEqual([2, 1]);
  });

  it("a free turn is taken at once, and others wait for its end; where none is free nothing is done", async () => {
    const turns = createTurns(1);
    const { open, opened } = gate();
    const free = turns.takeFree(() => opened.then(() => "free"));
    const waiting = turns.take(async () => "waited", signal, never);
    expect(turns.takeFree(async () => "never")).toBeUndefined();
    open();
    expect(await free).toBe("free");
    expect(await waiting).toBe("waited");
    expect(await turns.takeFree(async () => "again")).toBe("again");
  });

  it("who gives up waiting is gone, and who fails makes room", async () => {
    const turns = createTurns(1);
    const { open, opened } = gate();
    const failing = turns.take(
      async () => {
        await opened;
        throw new Error("full disk");
      },
      signal,
      never,
    );
    const leaver = new AbortController();
    const left = turns.take(async () => "never", leaver.signal, never);
    const last = turns.take(async () => "last", signal, never);
    leaver.abort(new Error("aborted by ann"));
    await expect(left).rejects.toThrow("aborted by ann");
    open();
    await expect(failing).rejects.toThrow("full disk");
    expect(await last).toBe("last");
  });
});
