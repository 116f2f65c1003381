import { describe, expect, test } from "vitest";
import { chooseOrder, type OrderInput } from "../../../../hostd/switch/order.ts";
import { type App, appSchema } from "../../../../manifests/app.ts";

const both = (change: Partial<App> = {}): App => ({
  ...appSchema.parse({
    schema: 1,
    name: "shop",
    listen: [{ port: 8080 }],
    data: [{ path: "/srv", format: 1, shared: true }],
    switch: { order: "start-first", probe: "/run/shop.sock" },
  }),
  ...change,
});
const given = (change: Partial<OrderInput>): OrderInput => ({
  old: both(),
  next: both(),
  dataFormat: 1,
  restores: false,
  ...change,
});
const data = (format: number, reads?: string, shared?: boolean): App["data"] => [
  { path: "/srv", format, ...(reads === undefined ? {} : { reads }), ...(shared === undefined ? {} : { shared }) },
];

describe("chooseOrder", () => {
  test("two versions that both allow it run beside each other", () => {
    expect(chooseOrder(given({}))).toEqual({ beside: true });
  });

  test("a socket more is no obstacle", () => {
    const listen = [...both().listen, { port: 9090, address: "0.0.0.0" }];
    expect(chooseOrder(given({ next: both({ listen }) }))).toEqual({ beside: true });
  });

  test("nothing is said where nothing runs, or the new version does not ask for it", () => {
    const silent = { beside: false, because: undefined };
    expect(chooseOrder(given({ old: undefined }))).toEqual(silent);
    expect(chooseOrder(given({ next: both({ switch: { order: "stop-first" } }) }))).toEqual(silent);
  });

  test.each([
    ["the old version does not allow it", { old: both({ switch: { order: "stop-first" } }) }, /runs does not say/],
    ["the data goes back", { restores: true }, /goes back to a snapshot/],
    [
      "a socket goes away",
      { next: both({ listen: [{ port: 9090, address: "0.0.0.0" }] }) },
      /does not listen on 0\.0\.0\.0:8080/,
    ],
    ["a socket gets another address", { next: both({ listen: [{ port: 8080, address: "::" }] }) }, /0\.0\.0\.0:8080/],
    ["one of both does not share the data", { old: both({ data: data(1) }) }, /share their data/],
    ["the data is migrated", { next: both({ data: data(2, ">=1 <3", true) }) }, /migrated from format 1 to 2/],
    [
      "the old version cannot read the data",
      { dataFormat: 2, next: both({ data: data(1, ">=1 <3", true) }) },
      /cannot read format 2/,
    ],
  ])("stop first where %s", (_, change, because) => {
    expect(chooseOrder(given(change))).toEqual({ beside: false, because: expect.stringMatching(because) });
  });
});
