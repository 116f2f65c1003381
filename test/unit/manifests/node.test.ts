import * as fc from "fast-check";
import { expect, test } from "vitest";
import { DocumentError } from "../../../manifests/document.ts";
import { eventExample, parseEvent } from "../../../manifests/event.ts";
import { operationExample, parseOperation, parseStatus } from "../../../manifests/node.ts";

test("the examples pass their own parsers unchanged", () => {
  expect(parseOperation(operationExample)).toEqual(operationExample);
  expect(parseEvent(eventExample)).toEqual(eventExample);
});

test("any value is answered with a document or a DocumentError", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      for (const parse of [parseOperation, parseEvent, parseStatus]) {
        try {
          parse(value);
        } catch (error) {
          expect(error).toBeInstanceOf(DocumentError);
        }
      }
    }),
  );
});
