import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openBoard } from "../../../hostd/board.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function waitOn(board: ReturnType<typeof openBoard>, operation: number) {
  const seen = { told: false };
  void board.waitForChange(operation, 10_000).then(() => {
    seen.told = true;
  });
  return seen;
}

test("who waits for an operation is told of changes after a tenth of a second, of all until then at once", async () => {
  const board = openBoard();
  const waiting = waitOn(board, 1);
  board.changed(1);
  await vi.advanceTimersByTimeAsync(60);
  board.changed(1);
  expect(waiting.told).toBe(false);
  await vi.advanceTimersByTimeAsync(40);
  expect(waiting.told).toBe(true);
});

test("an end is told at once, to those who wait for this operation alone", async () => {
  const board = openBoard();
  const [waiting, other] = [waitOn(board, 1), waitOn(board, 2)];
  board.changed(1);
  board.ended(1);
  await vi.advanceTimersByTimeAsync(0);
  expect([waiting.told, other.told]).toEqual([true, false]);
});

test("nobody is told of a change from before they asked", async () => {
  const board = openBoard();
  board.changed(1);
  const waiting = waitOn(board, 1);
  await vi.advanceTimersByTimeAsync(9_999);
  expect(waiting.told).toBe(false);
});
