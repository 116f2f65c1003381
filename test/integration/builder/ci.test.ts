import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { run } from "../../../effects/process.ts";
import { homeOf, initHome } from "../../../keys/authority.ts";
import { createKeyFile } from "../../../keys/keyfile.ts";
import { describeWith } from "../../needs.ts";
import { runOstler } from "../../run-ostler.ts";

/** A shell with its libraries: what the recipe's base is made of. */
const BASE_FILES = ["/bin/dash", "/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"];

const RECIPE = `FROM tar:base.tar
DEPLOY
COPY app.sh /app.sh
ENTRYPOINT ["/bin/dash", "/app.sh"]
TEST --name=unit ["/bin/dash", "/app.sh", "test"]
`;
const APP = "echo 'ok 1 - it greets'\n";

let home: string;
let project: string;
const ostler = (args: string[], environment?: Record<string, string>) => runOstler(home, args, environment);
const ci = (...options: string[]) => ostler(["ci", join(project, "app.recipe"), ...options]);

describeWith({ root: true, programs: ["bwrap", "git", "tar"] }, "ostler ci", () => {
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "ostler-ci-"));
    project = join(home, "project");
    await initHome(homeOf(home), undefined, new Date());
    await makeProject();
    // The first build writes the lock, which is committed too.
    await ostler(["build", join(project, "app.recipe")]);
    await commit();
  });

  afterEach(async () => {
    await rm(home, { recursive: true, force: true });
  });

  test("a committed tree whose tests pass becomes green, and promotable", async () => {
    const { exitCode, stdout } = await ci("--no-json");
    expect(stdout.trimEnd().split("\n").at(-1)).toBe("green");
    expect(exitCode).toBe(0);
    expect(stdout).not.toContain("not promotable");
    expect(await ostler(["verify", "app"])).toMatchObject({ exitCode: 0, json: { allowed: true } });
    expect(await ostler(["promote", "app"])).toMatchObject({ exitCode: 0, json: { release: { sequence: 1 } } });
    const image = await statements();
    expect(image).toEqual([
      { type: "https://slsa.dev/provenance/v1", clean: true, commit: await head() },
      { type: "https://in-toto.io/attestation/test-result/v0.1", result: "PASSED", passed: ["unit: it greets"] },
    ]);
  });

  test("--context names what COPY reads, --compression what layers are, --secret a value that no layer has", async () => {
    const elsewhere = join(home, "elsewhere");
    await mkdir(elsewhere);
    await writeFile(join(elsewhere, "app.sh"), APP);
    await cp(join(project, "base.tar"), join(elsewhere, "base.tar"));
    await writeFile(join(home, "token"), "a secret value");
    const check = '[ "$TOKEN" = "a secret value" ]';
    const secret = `RUN --mount=type=secret,id=token,env=TOKEN ${JSON.stringify(["/bin/dash", "-c", check])}`;
    const recipe = join(project, "app.recipe");
    await writeFile(recipe, RECIPE.replace("DEPLOY\n", `DEPLOY\n${secret}\n`));
    const given = ["--context", elsewhere, "--secret", `id=token,src=${join(home, "token")}`];
    expect(await ostler(["build", recipe, "--compression", "gzip", ...given])).toMatchObject({ exitCode: 0 });
    expect(new Set(await layerTypes())).toEqual(new Set(["application/vnd.oci.image.layer.v1.tar+gzip"]));
    expect(await ostler(["build", recipe, "--compression", "lzma", ...given])).toMatchObject({ exitCode: 2 });
    expect((await ostler(["ci", recipe, "--context", join(home, "nowhere")])).exitCode).not.toBe(0);
  });

  test("a failing test makes it red: exit code 1, the test named, its output shown, promotion refused", async () => {
    await writeFile(join(project, "app.sh"), "echo 'not ok 1 - it greets'; echo 'expected hello, got bye'; exit 1\n");
    await commit();
    const { exitCode, stdout } = await ci("--no-json");
    expect(exitCode).toBe(1);
    expect(stdout).toContain("unit failed: it greets");
    expect(stdout).toContain("expected hello, got bye");
    expect(stdout.trimEnd().split("\n").at(-1)).toBe("red");
    const promoted = await ostler(["promote", "app"]);
    expect(promoted.exitCode).toBe(3);
    expect(promoted.stderr).toMatch(/tested \(tester\): .* FAILED by tester key [0-9a-f]{12} \(unit: it greets\)/);
  });

  test("a key that the policy does not name is told to make nothing promotable, as promote then confirms", async () => {
    await rm(join(home, "keys/tester.json"));
    const { keyid } = await createKeyFile(join(home, "keys/tester.json"), "tester", new Date());
    expect(await ci()).toMatchObject({ exitCode: 0, json: { mark: "green", unnamed: [{ role: "tester", keyid }] } });
    expect(await ostler(["promote", "app"])).toMatchObject({ exitCode: 3 });
  });

  test("a tree with changes is built and tested, and told to be unpromotable, as promote then confirms", async () => {
    await writeFile(join(project, "app.sh"), `${APP}# a change\n`);
    const { exitCode, stdout } = await ci("--no-json");
    expect(exitCode).toBe(0);
    expect(stdout).toContain(
      `not promotable where the policy requires \`clean\`: commit ${(await head()).slice(0, 12)}`,
    );
    expect(stdout).toContain("does not hold app.sh");
    const promoted = await ostler(["promote", "app"]);
    expect(promoted.exitCode).toBe(3);
    expect(promoted.stderr).toContain("clean (builder):");
    expect(await ostler(["promote", "app", "--to", "staging"])).toMatchObject({ exitCode: 0 });
  });

  test("a lock that it has just written, and an ignored file that a test reads, are named as not committed", async () => {
    await rm(join(project, "app.recipe.lock"));
    await writeFile(join(project, "expected.txt"), "ok\n");
    await writeFile(join(project, ".gitignore"), "*.txt\n");
    const mount = "TEST --mount=type=bind,source=expected.txt,target=/tmp/expected --name=unit";
    await writeFile(join(project, "app.recipe"), RECIPE.replace("TEST --name=unit", mount));
    await commit();
    expect(await ci()).toMatchObject({
      exitCode: 0,
      json: { mark: "green", clean: false, uncommitted: ["app.recipe.lock", "expected.txt"] },
    });
    expect((await ostler(["promote", "app"])).stderr).toContain("commit what `ostler ci RECIPE` names");
  });

  test("a recipe without TEST gets no mark", async () => {
    await writeFile(join(project, "app.recipe"), RECIPE.replace(/TEST.*\n/, ""));
    await commit();
    expect(await ci()).toMatchObject({ exitCode: 1, json: { mark: "none" } });
    expect(await statements()).toMatchObject([{ type: "https://slsa.dev/provenance/v1" }]);
  });

  test("a build that fails signs nothing", async () => {
    await writeFile(join(project, "app.recipe"), RECIPE.replace("COPY app.sh", "COPY nothing.sh"));
    expect((await ci()).exitCode).toBe(1);
    expect(await readdir(join(home, "store")).then((names) => names.includes("statements"))).toBe(false);
  });

  test("without keys it says so before it builds", async () => {
    await rm(join(home, "keys/tester.json"));
    const { exitCode, stderr } = await ci("--no-cache");
    expect(exitCode).toBe(1);
    expect(stderr).toContain("error: role tester: expected a key file, got none");
    expect(stderr).not.toContain("COPY");
  });

  test("where CI is set a missing lock is refused, unless --no-locked says otherwise", async () => {
    await rm(join(project, "app.recipe.lock"));
    const recipe = join(project, "app.recipe");
    expect(await ostler(["ci", recipe], { CI: "true" })).toMatchObject({
      exitCode: 3,
      json: { error: { code: "lock-missing" } },
    });
    expect(await ostler(["ci", recipe, "--locked"])).toMatchObject({ exitCode: 3 });
    expect(await ostler(["ci", recipe, "--no-locked"], { CI: "true" })).toMatchObject({ exitCode: 0 });
  });
});

/** What an image's layers are, by their media types. */
async function layerTypes(): Promise<string[]> {
  const { json } = await ostler(["images", "app"]);
  const [image] = (json as { images: { digest: string }[] }).images;
  const manifest = await readFile(join(home, "store/blobs/sha256", image?.digest.slice(7) ?? ""), "utf8");
  return (JSON.parse(manifest) as { layers: { mediaType: string }[] }).layers.map(({ mediaType }) => mediaType);
}

async function makeProject(): Promise<void> {
  const base = join(home, "base");
  for (const file of BASE_FILES) {
    await mkdir(join(base, dirname(file)), { recursive: true });
    await cp(file, join(base, file), { dereference: true });
  }
  await mkdir(project);
  await run(["tar", "-cf", join(project, "base.tar"), "-C", base, "."]);
  await writeFile(join(project, "app.recipe"), RECIPE);
  await writeFile(join(project, "app.sh"), APP);
  await run(["git", "init", "-q", project]);
}

async function commit(): Promise<void> {
  const git = ["git", "-C", project, "-c", "user.name=t", "-c", "user.email=t@example.com"];
  await run([...git, "add", "-A"]);
  await run([...git, "commit", "-q", "--allow-empty", "-m", "a change"]);
}

async function head(): Promise<string> {
  return (await run(["git", "-C", project, "rev-parse", "HEAD"])).stdout.trim();
}

/** What was signed about the newest image, in short. */
async function statements(): Promise<object[]> {
  const directory = join(home, "store/statements");
  const [name = ""] = await readdir(directory);
  const lines = (await readFile(join(directory, name), "utf8")).trimEnd().split("\n");
  return lines.map((line) => {
    const { predicateType, predicate } = JSON.parse(Buffer.from(JSON.parse(line).payload, "base64").toString());
    const source = predicate.buildDefinition?.externalParameters.source;
    if (source !== undefined) return { type: predicateType, clean: source.clean, commit: source.commit };
    return { type: predicateType, result: predicate.result, passed: predicate.passedTests };
  });
}
