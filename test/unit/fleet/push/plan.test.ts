import { describe, expect, test } from "vitest";
import type { RepositoryFile } from "../../../../fleet/push/contents.ts";
import { directoriesFor, listBatch, missingFiles, parseListing, sendBatch } from "../../../../fleet/push/plan.ts";

const layer: RepositoryFile = { path: "oci/blobs/sha256/aa", immutable: true, laidDown: "layers/root.erofs" };
const manifest: RepositoryFile = { path: "oci/blobs/sha256/bb", immutable: true };
const timestamp: RepositoryFile = { path: "metadata/timestamp.json", immutable: false };
const nothing = { repository: new Set<string>(), state: new Set<string>() };

describe("missingFiles", () => {
  test("sends all, in order, where nothing is there", () => {
    expect(missingFiles([layer, manifest, timestamp], nothing)).toEqual([layer, manifest, timestamp]);
  });

  test("leaves out what is there by name, and never what changes under its name", () => {
    const repository = new Set([layer.path, manifest.path, timestamp.path]);
    expect(missingFiles([layer, manifest, timestamp], { ...nothing, repository })).toEqual([timestamp]);
  });

  test("leaves out the blob of a layer that is laid down", () => {
    const state = new Set(["layers/root.erofs"]);
    expect(missingFiles([layer, manifest], { ...nothing, state })).toEqual([manifest]);
  });

  test("a half-sent file is missing", () => {
    const repository = new Set([`${manifest.path}.part`]);
    expect(missingFiles([manifest], { ...nothing, repository })).toEqual([manifest]);
  });
});

describe("sendBatch", () => {
  test("has a file on disk under another name before it gets its own", () => {
    expect(sendBatch(manifest, "/repo", "/node", nothing)).toBe(
      'put -f "/repo/oci/blobs/sha256/bb" "/node/oci/blobs/sha256/bb.part"\n' +
        'rename "/node/oci/blobs/sha256/bb.part" "/node/oci/blobs/sha256/bb"\n',
    );
  });

  test("goes on where a transfer was cut, but never in a file whose content may have changed", () => {
    const repository = new Set([`${manifest.path}.part`, `${timestamp.path}.part`]);
    expect(sendBatch(manifest, "/repo", "/node", { ...nothing, repository })).toMatch(/^reput -f /);
    expect(sendBatch(timestamp, "/repo", "/node", { ...nothing, repository })).toMatch(/^put -f /);
  });

  test("takes blanks, quotes and stars in a path as they are", () => {
    expect(sendBatch(manifest, '/my "repo*', "/node", nothing)).toContain('"/my \\"repo\\*/oci');
  });
});

test("directoriesFor names each directory once, outer ones first", () => {
  expect(directoriesFor([layer, manifest, timestamp])).toEqual([
    "",
    "oci",
    "metadata",
    "oci/blobs",
    "oci/blobs/sha256",
  ]);
});

test("parseListing takes the names and passes over the commands that sftp repeats", () => {
  expect(listBatch(["/a b"])).toBe('-ls -1 "/a b"\n');
  expect(parseListing('sftp> -ls -1 "/a b"\n/a b/x\n/a b/y.part\n')).toEqual(["/a b/x", "/a b/y.part"]);
});
