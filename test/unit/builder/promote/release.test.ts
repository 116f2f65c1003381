import { describe, expect, test } from "vitest";
import { decideRelease, type ReleaseRequest, unreadValues } from "../../../../builder/promote/release.ts";
import { digestFromHex } from "../../../../manifests/digest.ts";
import { imageConfigSchema } from "../../../../manifests/image.ts";
import { policyExample } from "../../../../manifests/policy.ts";
import { makeRelease } from "../../../foundation.ts";

const digest = digestFromHex("1".padStart(64, "0"));
const request: ReleaseRequest = {
  product: "shop",
  channel: "production",
  image: { mediaType: "application/vnd.oci.image.manifest.v1+json", digest, size: 100 },
  config: imageConfigSchema.parse({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } }),
  previous: undefined,
  policy: { ...policyExample, channels: {} },
  values: {},
  now: new Date("2026-11-21T08:00:00Z"),
};

describe("decideRelease", () => {
  test("begins at sequence 1, and its version is the sequence where nothing names another", () => {
    const created = "2026-11-21T08:00:00.000Z";
    expect(decideRelease(request)).toEqual({ ...makeRelease(1), version: "1", image: { digest, size: 100 }, created });
  });

  test("begins at the policy's floor, since nodes take nothing below it", () => {
    expect(decideRelease({ ...request, policy: policyExample })).toMatchObject({ sequence: 3 });
  });

  test("takes the version asked for before the image's label", () => {
    const config = { ...request.config, config: { Labels: { "org.opencontainers.image.version": "2.0.0" } } };
    expect(decideRelease({ ...request, config })).toMatchObject({ version: "2.0.0" });
    expect(decideRelease({ ...request, config, version: "2.1.0" })).toMatchObject({ version: "2.1.0" });
  });

  test("the same image with the same values is no new release", () => {
    const previous = makeRelease(1, { config: { greeting: "hi", color: "red" } });
    expect(decideRelease({ ...request, previous })).toBeUndefined();
    expect(decideRelease({ ...request, previous, values: { color: "red" } })).toBeUndefined();
  });

  test.each([
    ["another value", { values: { greeting: "ho" } }],
    ["one value more", { values: { size: "7" } }],
    ["another version", { version: "9" }],
    ["another image", { image: { ...request.image, digest: digestFromHex("2".repeat(64)) } }],
  ])("%s is a new release, one sequence later, that keeps the other values", (_, change) => {
    const previous = makeRelease(4, { image: { digest, size: 100 }, config: { greeting: "hi", color: "red" } });
    expect(decideRelease({ ...request, previous, ...change })).toMatchObject({ sequence: 5, config: { color: "red" } });
  });
});

test("unreadValues names what no template reads, neither by name nor in a map written whole", () => {
  const files = [{ path: "/a", template: "{{ greeting }} {{ db | json }}" }];
  expect(unreadValues({ greeting: "hi", "db.host": "a", greetin: "hi", dbs: "" }, files)).toEqual(["greetin", "dbs"]);
  expect(unreadValues({ greeting: "hi" }, [])).toEqual(["greeting"]);
});
