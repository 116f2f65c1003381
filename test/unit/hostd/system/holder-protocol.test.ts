import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeAnswer, encodeFields, parseRecord } from "../../../../hostd/system/holder-protocol.ts";

test("fields are joined by NUL, empty ones too, and come back", () => {
  expect(encodeFields(["start", 3, "", "a b"])).toEqual(Buffer.from("start\x003\0\0a b"));
  const field = fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0"));
  fc.assert(
    fc.property(fc.array(field), (fields) => {
      expect(decodeAnswer(encodeFields(["ok", ...fields]), "shop")).toEqual(fields);
    }),
  );
});

test("a field with a NUL is refused: it would become two", () => {
  expect(() => encodeFields(["start", "a\0b"])).toThrow("expected no NUL byte");
});

test.each([
  ["error\0already-running\0generation 3 runs already", "already-running", "shop: generation 3 runs already"],
  ["error\0start-failed\0/x: No such file", "start-failed", "shop: /x: No such file"],
  ["error\0launcher-failed\0bwrap: No such file", "launcher-failed", "shop: bwrap: No such file"],
  ["error\0protocol\0unknown request", "holder-failed", "shop: unknown request"],
  ["", "holder-failed", "shop: holder gave no answer"],
  ["o", "holder-failed", "shop: holder gave no answer"],
])("the answer %j is thrown as %s", (answer, code, message) => {
  expect(() => decodeAnswer(Buffer.from(answer), "shop")).toThrow(expect.objectContaining({ code, message }));
});

test("a record of a living process has no exit", () => {
  const line = "generation=3 init=811 initstart=900 pid=812 start=901 started=1700000000.250\n";
  expect(parseRecord(line)).toEqual({
    generation: 3,
    pid: 812,
    startedAt: "2023-11-14T22:13:20.250Z",
    init: { pid: 811, start: 900 },
    app: { pid: 812, start: 901 },
  });
});

test.each([
  ["code=0 ended=1700000001", { code: 0, at: "2023-11-14T22:13:21.000Z" }],
  ["code=143 ended=1700000001", { code: 143, signal: "SIGTERM", at: "2023-11-14T22:13:21.000Z" }],
  ["code=200 ended=1700000001", { code: 200, at: "2023-11-14T22:13:21.000Z" }],
  ["ended=1700000001", { at: "2023-11-14T22:13:21.000Z" }],
])("a record with `%s` ended like that", (rest, exited) => {
  expect(parseRecord(`generation=3 init=1 initstart=1 pid=2 start=2 started=1700000000 ${rest}`)?.exited).toEqual(
    exited,
  );
});

test("a record cut short is none, and no text makes it throw", () => {
  expect(parseRecord("")).toBeUndefined();
  expect(parseRecord("generation=3 init=81")).toBeUndefined();
  const word = fc.constantFrom(
    "generation",
    "started",
    "ended",
    "code",
    "pid",
    "=",
    " ",
    "1",
    "9".repeat(300),
    ".",
    "-",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(word).map((words) => words.join("")),
      ),
      (text) => {
        const record = parseRecord(text);
        expect(record === undefined || record.generation >= 0).toBe(true);
      },
    ),
  );
});
