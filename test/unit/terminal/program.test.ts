import { expect, test } from "vitest";
import { toCommand } from "../../../terminal/program.ts";

const verb = {
  name: "stage",
  summary: "lay a version down beside the running one",
  arguments: [{ name: "<app>", summary: "product name" }],
  options: [{ flags: "--wait", summary: "until it is staged" }],
  examples: ["hostd stage shop"],
  run: async () => ({ json: {}, text: "" }),
};

test("toCommand: help lists arguments, options, the program's own options and examples", () => {
  const help = toCommand({ name: "hostd", options: [{ flags: "--socket <path>", summary: "hostd's socket" }] }, verb);
  let text = "";
  help.configureOutput({ writeOut: (part) => (text += part) }).outputHelp();
  for (const part of [
    "hostd stage",
    "<app>",
    "--wait",
    "--socket <path>",
    "--json",
    "--progress",
    "hostd stage shop",
  ]) {
    expect(text).toContain(part);
  }
});

test("toCommand: an argument too many is refused", () => {
  const command = toCommand({ name: "hostd" }, verb).configureOutput({ writeErr: () => {} });
  expect(() => command.parse(["node", "hostd", "shop", "extra"])).toThrow(/too many arguments/);
});
