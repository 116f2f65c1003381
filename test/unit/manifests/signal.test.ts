import { describe, expect, test } from "vitest";
import { parseImageConfig, stopSignalOf } from "../../../manifests/image.ts";
import { parseSignal } from "../../../manifests/signal.ts";

describe("a signal", () => {
  test.each([
    ["SIGQUIT", { name: "SIGQUIT", number: 3 }],
    ["quit", { name: "SIGQUIT", number: 3 }],
    ["9", { name: "SIGKILL", number: 9 }],
    ["32", { name: "32", number: 32 }],
    ["SIGRTMIN", { name: "SIGRTMIN+0", number: 34 }],
    ["SIGRTMIN+3", { name: "SIGRTMIN+3", number: 37 }],
    ["rtmax-1", { name: "SIGRTMIN+29", number: 63 }],
    ["64", { name: "SIGRTMIN+30", number: 64 }],
  ])("%s is one of Linux, whichever way it is written", (text, expected) => {
    expect(parseSignal(text)).toEqual(expected);
    expect(parseSignal(expected.name)).toEqual(expected);
  });

  test.each([
    "",
    "0",
    "65",
    "SIG",
    "SIGTREM",
    "SIGRTMIN-1",
    "SIGRTMIN+31",
    "SIGRTMAX+1",
    "SIGRTMIN+",
    "3 ",
    "toString",
  ])("%j is none", (text) => {
    expect(parseSignal(text)).toBeUndefined();
  });
});

describe("the signal that ends an image's program", () => {
  const config = (StopSignal?: string | null) =>
    parseImageConfig(
      Buffer.from(
        JSON.stringify({
          architecture: "amd64",
          os: "linux",
          config: { StopSignal },
          rootfs: { type: "layers", diff_ids: [] },
        }),
      ),
    );

  test("is what its config names, else SIGTERM", () => {
    expect(stopSignalOf(config("SIGINT")).number).toBe(2);
    for (const none of [undefined, null, ""]) expect(stopSignalOf(config(none)).name).toBe("SIGTERM");
  });

  test("that is none is refused", () => {
    expect(() => stopSignalOf(config("SIGTREM"))).toThrow(
      "image config: StopSignal: expected a signal such as SIGTERM, got SIGTREM",
    );
  });
});
