import { describe, expect, test } from "vitest";
import { findRoleProblems } from "../../../keys/roles.ts";
import { signerOf } from "../../foundation.ts";

const assign = (role: string, { key } = signerOf(role)) => ({ role, keyid: key.keyid, public: key.hex });

describe("findRoleProblems", () => {
  test("finds nothing where each key holds one role, several keys a role", () => {
    expect(findRoleProblems([assign("root"), assign("root", signerOf("root", 2)), assign("tester")])).toEqual([]);
  });

  test("finds a key that holds two roles, and one that a role names twice", () => {
    const { keyid } = signerOf("tester").key;
    const short = keyid.slice(0, 12);
    expect(findRoleProblems([assign("tester"), assign("builder", signerOf("tester"))])).toEqual([
      `key ${short}: expected one role, got tester and builder`,
    ]);
    expect(findRoleProblems([assign("tester"), assign("tester")])).toEqual([
      `key ${short}: expected one role, got tester and tester`,
    ]);
  });

  test("finds one key under two names, which would count twice for a threshold", () => {
    const honest = assign("root");
    const problems = findRoleProblems([honest, { ...honest, keyid: "0".repeat(64) }]);
    expect(problems).toHaveLength(2);
    expect(problems[0]).toContain("expected keyid");
  });

  test("finds keys that import refuses", () => {
    const problems = findRoleProblems([{ role: "root", keyid: "0".repeat(64), public: "0".repeat(64) }]);
    expect(problems[0]).toMatch(/^role root: public key .* small-order/);
  });
});
