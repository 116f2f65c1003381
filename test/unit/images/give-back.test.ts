import { expect, test } from "vitest";
import { endsItsMemory, giveBack } from "../../../images/give-back.ts";

test("giveBack takes the memory of a buffer at once, and a second time changes nothing", () => {
  const bytes = Buffer.allocUnsafeSlow(1024);
  giveBack(bytes);
  expect(bytes.length).toBe(0);
  expect(() => giveBack(bytes)).not.toThrow();
});

test("endsItsMemory is true of the last of the chunks that share a piece of memory", () => {
  const piece = Buffer.allocUnsafeSlow(100);
  expect([piece.subarray(0, 60), piece.subarray(60), piece].map(endsItsMemory)).toEqual([false, true, true]);
});
