import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TrustError } from "../../../../keys/error.ts";
import { walkMetadata } from "../../../../keys/tuf/client.ts";
import { planInit } from "../../../../keys/tuf/plan/init.ts";
import { allSigners, makeFoundation } from "../../../foundation.ts";

const NOW = new Date("2026-11-21T08:00:00Z");
const files = new Map(planInit(makeFoundation(), allSigners, NOW).map(({ path, bytes }) => [path, bytes]));
const root = files.get("metadata/1.root.json") ?? Buffer.alloc(0);
const metadata = [...files.keys()].filter((path) => path.startsWith("metadata/") && !path.includes("root"));

describe("walkMetadata, for any bytes", () => {
  test("refuses whatever a repository puts in place of a file, as a TrustError", async () => {
    const garbage = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc.json().map((text) => Buffer.from(text)),
      fc
        .record({ signed: fc.jsonValue(), signatures: fc.oneof(fc.jsonValue(), fc.array(fc.jsonValue())) })
        .map((value) => Buffer.from(JSON.stringify(value))),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...metadata), garbage, async (path, bytes) => {
        expect(await walkWith(path, bytes)).toBeInstanceOf(TrustError);
      }),
    );
  });

  test("refuses any changed byte in what is signed", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...metadata),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (path, at, flip) => {
          const bytes = Buffer.from(files.get(path) ?? "");
          const signed = bytes.indexOf('"signed"');
          const place = signed + (at % (bytes.length - signed - 3));
          bytes[place] = (bytes[place] ?? 0) ^ flip;
          const found = await walkWith(path, bytes);
          // White space is not signed; only timestamp.json is not named by a hash that covers it.
          if (path === "metadata/timestamp.json" && sameJson(bytes, files.get(path))) return;
          expect(found).toBeInstanceOf(TrustError);
        },
      ),
    );
  });

  test("accepts the repository as it is", async () => {
    expect(await walkWith("none", Buffer.alloc(0))).toBe("accepted");
  });

  test("refuses a root that is no root", async () => {
    await fc.assert(
      fc.asyncProperty(fc.json(), async (text) => {
        const held = new Map([["root", Buffer.from(text)]]);
        await expect(walkMetadata(async () => undefined, held, NOW)).rejects.toBeInstanceOf(TrustError);
      }),
    );
  });
});

/** What a client gets when one file of the repository is replaced; a refused channel counts as its refusal. */
async function walkWith(path: string, bytes: Buffer): Promise<unknown> {
  const fetch = async (asked: string) => (asked === path ? bytes : files.get(asked));
  try {
    const { channels } = await walkMetadata(fetch, new Map([["root", root]]), NOW);
    return [...channels.values()].find((role) => role instanceof Error) ?? "accepted";
  } catch (error) {
    return error;
  }
}

function sameJson(one: Buffer, other: Buffer | undefined): boolean {
  try {
    return JSON.stringify(JSON.parse(one.toString())) === JSON.stringify(JSON.parse(String(other)));
  } catch {
    return false;
  }
}
