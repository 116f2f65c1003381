import { describe, expect, test } from "vitest";
import { doorOf, gapOf } from "../../../../hostd/switch/gap.ts";
import { type App, appSchema } from "../../../../manifests/app.ts";

const app = (change: object): App => appSchema.parse({ schema: 1, name: "shop", ...change });
const knocks = (...all: [number, boolean][]) => all.map(([at, taken]) => ({ at, taken }));

describe("gapOf", () => {
  test("is the time from the last connection that was taken to the first one after it", () => {
    expect(gapOf(knocks([0, true], [10, true], [15, false], [90, false], [95, true], [100, true]))).toBe(85);
  });

  test("of several it is the longest", () => {
    expect(gapOf(knocks([0, true], [5, false], [20, true], [30, false], [31, true]))).toBe(20);
  });

  test("is nothing where no connection was refused", () => {
    expect(gapOf(knocks([0, true], [300, true]))).toBe(0);
  });

  test("is not known where nobody was there before, or nobody came back", () => {
    expect(gapOf(knocks([0, false], [5, true], [6, false]))).toBeUndefined();
    expect(gapOf(knocks([0, false], [5, false]))).toBeUndefined();
    expect(gapOf([])).toBeUndefined();
  });
});

describe("doorOf", () => {
  const health = [
    { kind: "exec", command: ["/x"] },
    { kind: "http", url: "http://[::1]:8081/h" },
  ];

  test("is the port of the first check that has one", () => {
    expect(doorOf(app({ health }))).toEqual({ host: "::1", port: 8081 });
    expect(doorOf(app({ health: [{ kind: "tcp", host: "localhost", port: 53 }] }))).toEqual({
      host: "localhost",
      port: 53,
    });
  });

  test("an app with LISTEN has none: its sockets stay open; nor has one that no check reaches", () => {
    expect(doorOf(app({ health, listen: [{ port: 80 }] }))).toBeUndefined();
    expect(doorOf(app({ health: health.slice(0, 1) }))).toBeUndefined();
  });
});
