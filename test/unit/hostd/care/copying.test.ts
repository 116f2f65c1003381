import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openCopying } from "../../../../hostd/care/copying.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const SECOND = 1_000;
const MINUTE = 60_000;

function source() {
  const state = { copies: 0, isBusy: false, ended: 0, isReadable: true };
  const copying = openCopying({
    isBusy() {
      if (!state.isReadable) throw new Error("disk I/O error");
      return state.isBusy;
    },
    ended: () => state.ended,
    async copy() {
      state.copies += 1;
    },
  });
  const pass = (milliseconds: number) => vi.advanceTimersByTime(milliseconds);
  return { state, copying, pass };
}

test("changes in a row are copied once, seconds after the first", () => {
  const { state, copying, pass } = source();
  for (let change = 0; change < 4; change++) {
    copying.soon();
    pass(SECOND);
  }
  expect(state.copies).toBe(0);
  pass(SECOND);
  expect(state.copies).toBe(1);
  expect(vi.getTimerCount()).toBe(0);
});

test("what changes all the time is copied every ten minutes", () => {
  const { state, copying, pass } = source();
  for (let change = 0; change < 3_600; change++) {
    copying.soon();
    pass(SECOND);
  }
  expect(state.copies).toBe(6);
});

test("a change soon after a copy is copied when ten minutes are over, without a further one", () => {
  const { state, copying, pass } = source();
  copying.soon();
  pass(MINUTE);
  copying.soon();
  pass(9 * MINUTE);
  expect(state.copies).toBe(1);
  pass(MINUTE);
  expect(state.copies).toBe(2);
});

test("nothing is copied while an operation is under way; its end is copied seconds later, once a minute at most", () => {
  const { state, copying, pass } = source();
  copying.soon();
  pass(2 * MINUTE);
  state.isBusy = true;
  copying.soon();
  pass(20 * MINUTE);
  expect(state.copies).toBe(1);
  for (let operation = 0; operation < 60; operation++) {
    state.isBusy = false;
    state.ended += 1;
    copying.soon();
    pass(5 * SECOND);
    if (operation === 0) expect(state.copies).toBe(2);
    state.isBusy = true;
    copying.soon();
    pass(5 * SECOND);
  }
  expect(state.copies).toBeGreaterThan(2);
  expect(state.copies).toBeLessThanOrEqual(12);
});

test("an operation that ends while a copy has to wait ends that wait", () => {
  const { state, copying, pass } = source();
  copying.soon();
  pass(2 * MINUTE);
  copying.soon();
  pass(MINUTE);
  expect(state.copies).toBe(1);
  state.ended += 1;
  copying.soon();
  pass(5 * SECOND);
  expect(state.copies).toBe(2);
});

test("at the end the rest is copied at once", async () => {
  const { state, copying } = source();
  copying.soon();
  await copying.close();
  expect(state.copies).toBe(1);
  expect(vi.getTimerCount()).toBe(0);
});

test("where it cannot be asked whether there is anything to copy, it is asked again ten minutes later", () => {
  const { state, copying, pass } = source();
  state.isReadable = false;
  copying.soon();
  pass(MINUTE);
  state.isReadable = true;
  expect(state.copies).toBe(0);
  pass(10 * MINUTE);
  expect(state.copies).toBe(1);
});

test("what changes while it is closed starts no timer", async () => {
  const { copying } = source();
  const closed = copying.close();
  copying.soon();
  await closed;
  expect(vi.getTimerCount()).toBe(0);
});
