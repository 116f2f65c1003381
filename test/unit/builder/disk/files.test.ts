import { dirname } from "node:path";
import { describe, expect, it } from "vitest";
import { type DiskFile, dataFiles, espFiles } from "../../../../builder/disk/files.ts";
import { bootExample } from "../../../../manifests/boot.ts";
import { identityExample } from "../../../../manifests/identity.ts";
import { releaseExample } from "../../../../manifests/release.ts";

const CONTENT = {
  rootList: "list",
  manifest: Buffer.from("manifest"),
  config: Buffer.from("config"),
  release: undefined,
  identity: identityExample,
};

describe("espFiles", () => {
  const paths = (files: readonly DiskFile[]) => files.map(({ path }) => path);

  it("has the loader, its settings, and the first version as the proven one", () => {
    expect(paths(espFiles(bootExample, Buffer.from("loader")))).toEqual([
      "EFI/BOOT/BOOTX64.EFI",
      "loader/loader.conf",
      "startup.nsh",
      "EFI/Linux/ostler-0001-000000000000.efi",
    ]);
  });

  it("has the keys that the firmware is to take over, and tells the loader to enroll them; without keys neither", () => {
    const files = espFiles(bootExample, Buffer.from("loader"), { "PK.auth": Buffer.from("pk") });
    const bytesOf = (all: readonly DiskFile[], name: string) => {
      const file = all.find(({ path }) => path === name);
      return file?.kind === "bytes" ? String(file.bytes) : undefined;
    };
    expect(bytesOf(files, "loader/keys/auto/PK.auth")).toBe("pk");
    expect(bytesOf(files, "loader/loader.conf")).toMatch(/\nsecure-boot-enroll force\n$/);
    expect(bytesOf(espFiles(bootExample, Buffer.from("loader")), "loader/loader.conf")).not.toContain("enroll");
  });

  it("has recovery where the image has one", () => {
    const { uki, parts } = bootExample;
    expect(paths(espFiles({ ...bootExample, recovery: { uki, parts } }, Buffer.alloc(1)))).toContain(
      "EFI/Linux/recovery.efi",
    );
  });
});

describe("dataFiles", () => {
  it("names every directory before what is in it", () => {
    const known = new Set([".", ""]);
    for (const { path } of dataFiles(bootExample, { ...CONTENT, release: releaseExample })) {
      expect(known).toContain(dirname(path));
      known.add(path);
    }
  });

  it("has each part of what firmware starts, once: the next version is sent without them", () => {
    const parts = dataFiles({ ...bootExample, recovery: bootExample }, CONTENT).filter(({ kind }) => kind === "boot");
    expect(parts.map(({ path }) => path)).toEqual(
      bootExample.parts.map(({ digest }) => `var/lib/hostd/host/parts/${digest.slice("sha256:".length)}`),
    );
  });

  it("lets nobody else into the daemon's state, and everybody read what becomes /etc", () => {
    const files = dataFiles(bootExample, CONTENT);
    const modeOf = (name: string) => {
      const file = files.find(({ path }) => path === `var/lib/hostd/${name}`.replace(/\/$/, ""));
      return file !== undefined && "mode" in file ? file.mode.toString(8) : undefined;
    };
    expect(modeOf("")).toBe("700");
    expect(modeOf("host/identity/etc")).toBe("755");
    expect(modeOf("host/identity/etc/ssh/authorized_keys.d/root")).toBe("644");
  });
});
