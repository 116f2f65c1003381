import fc from "fast-check";
import { expect, test } from "vitest";
import { parseCreationTime } from "../../../../hostd/system/data-btrfs.ts";
import { listenersIn } from "../../../../hostd/system/port.ts";
import { parseStat } from "../../../../hostd/system/proc.ts";

const STAT = "812 (a (b) c) S 1 812 812 0 -1 4194560 88 0 0 0 0 0 0 0 20 0 1 0 90123 8945664 900";

test("parseStat finds the start time behind a name with spaces and brackets", () => {
  expect(parseStat(STAT)).toEqual({ start: 90123 });
});

test("parseStat takes a zombie and a half line for no process", () => {
  expect(parseStat(STAT.replace(") S ", ") Z "))).toBeUndefined();
  expect(parseStat("812 (x) S 1")).toBeUndefined();
  expect(parseStat("")).toBeUndefined();
  fc.assert(fc.property(fc.string(), (text) => void expect(() => parseStat(text)).not.toThrow()));
});

test("listenersIn finds the sockets that listen on a port, in both tables", () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 5555 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 6666 1 0 100 0 0 10 0
   2: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 7777 1
`;
  expect(listenersIn(table, 8080)).toEqual(["5555", "7777"]);
  expect(listenersIn(table, 8081)).toEqual([]);
  fc.assert(fc.property(fc.string(), (text) => Array.isArray(listenersIn(text, 80))));
});

test("parseCreationTime reads the time of a btrfs snapshot with its zone", () => {
  const text = "snapshots/one\n\tName: \t\tone\n\tCreation time: \t2026-11-21 08:13:05 +0100\n";
  expect(parseCreationTime(text).toISOString()).toBe("2026-11-21T07:13:05.000Z");
  expect(parseCreationTime("no such line").getTime()).toBe(0);
});
