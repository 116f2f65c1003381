import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { BuildResult } from "../../../builder/build.ts";
import { runTests } from "../../../builder/tests.ts";
import { verifyBuild } from "../../../builder/verify.ts";
import { describeWith } from "../../needs.ts";
import { extractWithTar, openWorkshop, type Workshop } from "./workshop.ts";

const RECIPE = `FROM debian:bookworm
BOOTSTRAP
RUN apt-get update && apt-get install -y --no-install-recommends libcap2-bin
RUN cp /usr/bin/perl /opt/perl && setcap cap_net_bind_service+ep /opt/perl
DEPLOY FROM scratch
COPY --from=bootstrap --closure /opt/perl /opt/perl
COPY --from=bootstrap --closure /usr/sbin/getcap /usr/sbin/getcap
COPY check.pl /opt/check.pl
ENTRYPOINT ["/opt/perl", "/opt/check.pl"]
DATA /var/lib/thing
TEST --name=reads ["/opt/perl", "-e", "print qq(1..2\\\\nok 1 - first\\\\nok 2 - second\\\\n)"]
TEST --name=writes ["/opt/perl", "-e", "open F, '>', '/var/lib/thing/x' or die $!; open G, '>', '/tmp/y' or die $!; exit(open(H, '>', '/opt/z') ? 1 : 0)"]
TEST --name=fails --timeout=20s ["/opt/perl", "-e", "print qq(not ok 1 - broken\\\\n); exit 3"]
TEST --name=mounted --mount=type=bind,source=tests,target=/opt/tests ["/opt/perl", "/opt/tests/t.pl"]
TEST --name=slow --timeout=1s ["/opt/perl", "-e", "sleep 60"]
`;

const needs = { root: true, programs: ["bwrap", "getfattr", "zstd", "mmdebstrap", "skopeo"] };

describeWith(needs, "an image on a real Debian", () => {
  let workshop: Workshop;
  let built: BuildResult;
  const directory = mkdtempSync(join(tmpdir(), "ostler-debian-"));
  beforeAll(async () => {
    workshop = openWorkshop({ directory, tar: "", remove: () => {} }, "work", join(directory, "home"));
    workshop.write("check.pl", "print 1;\n");
    workshop.write("tests/t.pl", "exit 0;\n");
    built = await workshop.build(RECIPE);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test("holds what was named, every library it needs, and no shell, no package manager, no compiler", async () => {
    const out = join(directory, "out");
    await extractWithTar(built, workshop.home, out);
    expect(execFileSync("/usr/sbin/chroot", [out, "/opt/perl", "/opt/check.pl"], { env: {} }).toString()).toBe("1");
    expect(execFileSync("getcap", [join(out, "opt/perl")]).toString()).toContain("cap_net_bind_service=ep");
    for (const name of ["sh", "bash", "dash", "apt", "apt-get", "dpkg", "gcc", "cc"]) {
      for (const place of ["bin", "usr/bin", "sbin", "usr/sbin"])
        expect(existsSync(join(out, place, name))).toBe(false);
    }
    expect(readdirSync(out).sort()).toEqual(["lib", "lib64", "opt", "usr"]);
    expect(built.layers.map(({ section }) => section)).toEqual(["bootstrap", "deploy"]);
  });

  test("its tests run as it will: root read-only, data and /tmp writable, time limited; names come from the output", async () => {
    const { suites } = await runTests(built, { progress: () => {}, signal: new AbortController().signal });
    expect(
      suites.map(({ name, passed, failed, exitCode, timedOut }) => ({ name, passed, failed, exitCode, timedOut })),
    ).toEqual([
      { name: "reads", passed: ["first", "second"], failed: [], exitCode: 0, timedOut: false },
      { name: "writes", passed: ["writes"], failed: [], exitCode: 0, timedOut: false },
      { name: "fails", passed: [], failed: ["broken"], exitCode: 3, timedOut: false },
      { name: "mounted", passed: ["mounted"], failed: [], exitCode: 0, timedOut: false },
      { name: "slow", passed: [], failed: ["slow"], exitCode: 137, timedOut: true },
    ]);
    workshop.write("tests/t.pl", "exit 0; # other\n");
    const again = await runTests(await workshop.build(RECIPE), {
      progress: () => {},
      signal: new AbortController().signal,
    });
    const moved = again.suites.filter((suite, index) => suite.digest !== suites[index]?.digest);
    expect(moved.map(({ name }) => name)).toEqual(["mounted"]);
  });

  test("skopeo reads it", () => {
    const text = execFileSync("skopeo", ["inspect", `oci:${workshop.home}/store:thing:latest`]).toString();
    expect(JSON.parse(text)).toMatchObject({ Digest: built.descriptor.digest, Architecture: "amd64", Os: "linux" });
    execFileSync("skopeo", ["copy", "-q", `oci:${workshop.home}/store:thing:latest`, `dir:${directory}/copied`]);
  });

  test("a second build from nothing, base and all, gives the same image", async () => {
    const options = {
      recipeFile: workshop.recipe,
      home: workshop.home,
      progress: () => {},
      signal: new AbortController().signal,
    };
    expect(await verifyBuild(built, options)).toMatchObject({ same: true, first: built.descriptor.digest });
  });

  test("a suite that does not exist is said as such", async () => {
    const other = openWorkshop({ directory, tar: "", remove: () => {} }, "other", workshop.home);
    await expect(other.build("FROM debian:nosuchsuite\nRUN true\n")).rejects.toMatchObject({
      code: "base-unreachable",
      message: expect.stringContaining("FROM debian:nosuchsuite"),
    });
    expect(existsSync(`${other.recipe}.lock`)).toBe(false);
    expect(readFileSync(`${workshop.recipe}.lock`, "utf8")).toContain('"debian:bookworm": "sha256:');
  });
});
