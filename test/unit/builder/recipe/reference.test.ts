import { describe, expect, test } from "vitest";
import { nameFromFile } from "../../../../builder/recipe/name.ts";
import { nearest } from "../../../../terminal/nearest.ts";
import { read } from "./read.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;

describe("references", () => {
  test.each([
    ["debian:bookworm", { kind: "debian", suite: "bookworm" }],
    ["debian:bookworm-slim", { kind: "debian", suite: "bookworm" }],
    ["debian:12", { kind: "debian", suite: "bookworm" }],
    ["debian:bookworm-backports", { kind: "debian", suite: "bookworm-backports" }],
    ["scratch", { kind: "scratch" }],
    ["image:shop", { kind: "image", name: "shop", tag: undefined, digest: undefined }],
    ["image:team/shop:v1", { kind: "image", name: "team/shop", tag: "v1" }],
    [`image:shop@${DIGEST}`, { kind: "image", name: "shop", digest: DIGEST }],
    ["oci:images/base", { kind: "oci", directory: "images/base", tag: undefined }],
    ["oci:/srv/base:v1", { kind: "oci", directory: "/srv/base", tag: "v1" }],
    ["oci:../a:b/c", { kind: "oci", directory: "../a:b/c", tag: undefined }],
    ["tar:root.tar.zst", { kind: "tar", path: "root.tar.zst" }],
    ["node:20", { kind: "registry", registry: "docker.io", repository: "library/node", tag: "20" }],
    ["team/app:1", { kind: "registry", registry: "docker.io", repository: "team/app", tag: "1" }],
    ["ghcr.io/a/b-c_d.e:1", { kind: "registry", registry: "ghcr.io", repository: "a/b-c_d.e", tag: "1" }],
    ["localhost/a:1", { kind: "registry", registry: "localhost", repository: "a" }],
    ["localhost:5000/a", { kind: "registry", registry: "localhost:5000", repository: "a", tag: undefined }],
    [`[::1]:5000/a:x@${DIGEST}`, { kind: "registry", registry: "[::1]:5000", tag: "x", digest: DIGEST }],
  ])("%s", (reference, expected) => {
    expect(read(`FROM ${reference}`).base).toMatchObject({ ...expected, reference, position: { line: 1, column: 6 } });
  });
});

describe("nameFromFile", () => {
  test.each([
    ["recipes/shop/shop.recipe", "shop"],
    ["/a/shop-2.Dockerfile", "shop-2"],
    ["Dockerfile.shop", "shop"],
    ["/srv/My Shop/Dockerfile", "my-shop"],
    ["Containerfile", "image"],
    ["Shop.recipe", undefined],
    ["a b.recipe", undefined],
    [".recipe", undefined],
  ])("%s is %s", (file, name) => {
    expect(nameFromFile(file)).toBe(name);
  });
});

describe("nearest", () => {
  test.each([
    ["RUNX", "RUN"],
    ["copy", "COPY"],
    ["CPOY", "COPY"],
    ["ENTRYPONT", "ENTRYPOINT"],
    ["HEALTHCHEK", "HEALTHCHECK"],
    ["XYZ", undefined],
    ["", undefined],
    ["R".repeat(40), undefined],
  ])("%j is near %s", (word, expected) => {
    expect(nearest(word, ["RUN", "COPY", "ENTRYPOINT", "HEALTHCHECK"])).toBe(expected);
  });
});
