import { describe, expect, it } from "vitest";
import { createPace, parseRate } from "../../../../hostd/stage/pace.ts";

describe("parseRate", () => {
  it.each([
    ["10M", 10_000_000],
    ["500k", 500_000],
    ["1.5G", 1_500_000_000],
    ["4096", 4096],
    [undefined, undefined],
  ])("%s is %s bytes per second", (text, rate) => expect(parseRate(text)).toBe(rate));

  it.each(["", "0", "fast", "10X", "-1M", "1 M"])("refuses %j, naming what was expected", (text) => {
    expect(() => parseRate(text)).toThrow(/expected bytes such as 500k or 10M/);
  });
});

describe("createPace", () => {
  function clock() {
    const time = { at: 0, slept: 0 };
    const sleep = async (milliseconds: number) => {
      time.at += milliseconds;
      time.slept += milliseconds;
    };
    return { time, now: () => time.at, sleep };
  }
  const { signal } = new AbortController();

  it("holds all that goes through it to the rate", async () => {
    const fake = clock();
    const pace = createPace(1_000_000, fake);
    for (let n = 0; n < 50; n++) await pace(100_000, signal);
    expect(fake.time.slept).toBeCloseTo(5_000, 0);
  });

  it("does not save up what was not used", async () => {
    const fake = clock();
    const pace = createPace(1_000_000, fake);
    await pace(1_000, signal);
    fake.time.at += 60_000;
    fake.time.slept = 0;
    await pace(500_000, signal);
    expect(fake.time.slept).toBeCloseTo(500, 0);
  });

  it("never waits without a rate", async () => {
    const fake = clock();
    await createPace(undefined, fake)(1e12, signal);
    expect(fake.time.slept).toBe(0);
  });
});
