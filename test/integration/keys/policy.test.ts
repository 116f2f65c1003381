import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { homeOf, initHome, openSigner } from "../../../keys/authority.ts";
import { appendEnvelopes } from "../../../keys/envelopes.ts";
import { shortDigest } from "../../../manifests/digest.ts";
import type { Descriptor } from "../../../manifests/image.ts";
import type { Policy } from "../../../manifests/policy.ts";
import { runOstler } from "../../run-ostler.ts";
import { markOf, provenanceOf, storeSmallImage } from "../../small-image.ts";

let home: string;
let image: Descriptor;
const ostler = (...args: string[]) => runOstler(home, args);

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "ostler-policy-"));
  await initHome(homeOf(home), undefined, new Date());
  image = await green("one");
});

afterEach(async () => {
  await rm(home, { recursive: true, force: true });
});

describe("ostler revoke", () => {
  test("keeps a green image from every channel, with its reason; a second time changes nothing", async () => {
    await ostler("promote", "shop");
    const revoke = () => ostler("revoke", shortDigest(image.digest), "--reason", "sends orders twice");
    expect(await revoke()).toMatchObject({ exitCode: 0, json: { changed: true, image: image.digest } });
    const refused = await ostler("promote", "shop", "--version", "2");
    expect(refused).toMatchObject({ exitCode: 3, json: { error: { code: "image-refused" } } });
    expect(refused.stderr).toContain("is revoked: sends orders twice");
    expect(await ostler("verify", "shop", "--repository", homeOf(home).repository)).toMatchObject({ exitCode: 3 });
    expect(await green("two")).not.toEqual(image);
    await ostler("revoke", `sha256:${"0".repeat(64)}`, "--reason", "of somebody else");
    expect(await revoke()).toMatchObject({ exitCode: 0, json: { changed: false } });
    expect(await ostler("promote", "shop")).toMatchObject({ exitCode: 0 });
  });

  test("needs a reason, an image that there is, and the targets key", async () => {
    expect(await ostler("revoke", "shop")).toMatchObject({ exitCode: 2, json: { error: { code: "revoke" } } });
    expect(await ostler("revoke", "blog", "--reason", "x")).toMatchObject({ exitCode: 1 });
    await rm(join(home, "keys/targets.json"));
    expect(await ostler("revoke", "shop", "--reason", "x")).toMatchObject({ json: { error: { code: "key-missing" } } });
    expect((await inForce()).revoked).toEqual([]);
  });
});

describe("ostler policy", () => {
  test("shows the policy in force, and publishes the one of a file", async () => {
    const policy = await inForce();
    const { production } = policy.channels;
    if (production === undefined) throw new Error("expected a production channel");
    const floors = { ...policy, channels: { ...policy.channels, production: { ...production, floors: { shop: 7 } } } };
    expect(await publish(floors)).toMatchObject({ exitCode: 0, json: { changed: true } });
    expect(await inForce()).toEqual(floors);
    expect(await ostler("promote", "shop")).toMatchObject({ exitCode: 0, json: { release: { sequence: 7 } } });
    expect(await publish(floors)).toMatchObject({ exitCode: 0, json: { changed: false } });
  });

  test("publishes none that nodes would refuse: a key with two roles, or a document that is no policy", async () => {
    const policy = await inForce();
    const before = await readFile(join(homeOf(home).repository, "metadata/timestamp.json"));
    const twice = await publish({ ...policy, testers: policy.builders });
    expect(twice).toMatchObject({ exitCode: 3, json: { error: { code: "key-roles" } } });
    expect((await publish({ ...policy, schema: 2 })).exitCode).not.toBe(0);
    expect(await ostler("policy", join(home, "nowhere.json"))).toMatchObject({ exitCode: 2 });
    expect(await readFile(join(homeOf(home).repository, "metadata/timestamp.json"))).toEqual(before);
  });
});

async function green(content: string): Promise<Descriptor> {
  const store = join(home, "store");
  const made = await storeSmallImage(store, "shop", content);
  const [builder, tester] = await Promise.all(
    (["builder", "tester"] as const).map((role) => openSigner(homeOf(home), role, undefined)),
  );
  if (builder === undefined || tester === undefined) throw new Error("expected keys");
  await appendEnvelopes(store, made.digest, [provenanceOf(made.digest, builder), markOf(made.digest, tester)]);
  return made;
}

async function inForce(): Promise<Policy> {
  return (await ostler("policy")).json as Policy;
}

async function publish(policy: object) {
  const file = join(home, "policy.json");
  await writeFile(file, JSON.stringify(policy));
  return await ostler("policy", file);
}
