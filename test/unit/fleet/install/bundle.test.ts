import fc from "fast-check";
import { expect, test } from "vitest";
import { idOf, readBundle, sumsOf } from "../../../../fleet/install/bundle.ts";

const file = fc.record({
  name: fc.stringMatching(/^[a-z][a-z.-]{0,8}$/),
  sha256: fc.stringMatching(/^[0-9a-f]{64}$/),
  executable: fc.boolean(),
});
const files = fc.uniqueArray(file, { selector: ({ name }) => name, maxLength: 6 });

test("the same files have the same name; other bytes, names and rights another one", () => {
  fc.assert(
    fc.property(files, files, (one, other) => {
      expect(idOf(one)).toMatch(/^[0-9a-f]{16}$/);
      expect(idOf(one) === idOf(other)).toBe(JSON.stringify(one) === JSON.stringify(other));
    }),
  );
  expect(idOf([{ name: "a", sha256: "0", executable: true }])).not.toBe(
    idOf([{ name: "a", sha256: "0", executable: false }]),
  );
});

test("sums are as sha256sum writes them", () => {
  expect(sumsOf([{ name: "node", sha256: "ab" }])).toBe("ab  node\n");
});

test("a directory that holds no hostd is refused with what makes one", async () => {
  await expect(readBundle("/nowhere")).rejects.toMatchObject({ code: "no-bundle", hint: "npm run bundle /nowhere" });
});
