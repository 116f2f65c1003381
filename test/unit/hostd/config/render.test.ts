import { describe, expect, test } from "vitest";
import { renderConfig } from "../../../../hostd/config/render.ts";

describe("renderConfig", () => {
  test("puts declared values in, literally: a value is never a template of its own", () => {
    const files = [{ path: "/etc/shop", template: "a={{ a }}\nb={{b}} {{ a }} {not} {{ }}" }];
    expect(renderConfig(files, { a: "{{ b }}", b: "$&$1" })).toEqual([
      { path: "/etc/shop", bytes: "a={{ b }}\nb=$&$1 {{ b }} {not} {{ }}" },
    ]);
  });

  test("names every value nobody declared, with file and line", () => {
    const files = [
      { path: "/etc/shop", template: "a={{ a }}\nb={{ b }}" },
      { path: "/etc/other", template: "{{ toString }}" },
    ];
    expect(() => renderConfig(files, { a: "1" })).toThrow(
      "expected a declared value for {{ b }} at /etc/shop:2, {{ toString }} at /etc/other:1",
    );
  });
});
