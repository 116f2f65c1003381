import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson, DocumentError } from "../../../manifests/document.ts";
import { identityExample, parseIdentity } from "../../../manifests/identity.ts";

const read = (value: unknown) => parseIdentity(Buffer.from(JSON.stringify(value)));
const KEY = identityExample.authorizedKeys["root"]?.[0] ?? "";

describe("parseIdentity", () => {
  it("reads the example of docs/disk.md, which is the example here", () => {
    const page = readFileSync(join(import.meta.dirname, "../../../docs/disk.md"), "utf8");
    const [, document = ""] = /```json\n([^`]+)```/.exec(page) ?? [];
    expect(parseIdentity(Buffer.from(document))).toEqual(identityExample);
  });

  it("reads the example unchanged", () => {
    expect(parseIdentity(Buffer.from(canonicalJson(identityExample)))).toEqual(identityExample);
  });

  it("asks for an address by DHCP where nothing is said about the network", () => {
    expect(read({ schema: 1, hostName: "n" })).toEqual({
      schema: 1,
      hostName: "n",
      authorizedKeys: {},
      network: { kind: "dhcp", interface: "e*" },
      timeZone: "UTC",
    });
  });

  it.each([
    ["a host name with upper case", { hostName: "Node" }, "hostName: expected a host name"],
    ["a host name with a line break", { hostName: "a\nb" }, "hostName: expected a host name"],
    ["a host name that is longer than Linux takes", { hostName: `${"a".repeat(60)}.bcde` }, "hostName"],
    [
      "two keys in one line",
      { authorizedKeys: { root: [`${KEY}\n${KEY}`] } },
      "authorizedKeys.root.0: expected one line",
    ],
    ["a private key", { authorizedKeys: { root: ["-----BEGIN OPENSSH PRIVATE KEY-----"] } }, "authorizedKeys.root.0"],
    ["a user that is a path", { authorizedKeys: { "../root": [KEY] } }, "authorizedKeys"],
    ...["2-5", "02:00-02:00", "02:00-02:59", "24:00-03:00"].map((between): [string, object, string] => [
      `a window that is ${between}`,
      { repository: { address: "/r", follow: "activate", between } },
      "repository.between: expected two times of day",
    ]),
    ...[{}, { follow: "stage" }].map((how): [string, object, string] => [
      `a window with ${JSON.stringify(how)}, that nothing would keep to`,
      { repository: { address: "/r", between: "02:00-05:00", ...how } },
      'repository.between: expected "follow": "activate"',
    ]),
    ["a time zone that is a path", { timeZone: "../../etc/shadow" }, "timeZone: expected a time zone"],
    [
      "an address without a prefix",
      { network: { kind: "static", interface: "en*", addresses: ["192.0.2.1"] } },
      "network",
    ],
    ["an interface with a line break", { network: { kind: "dhcp", interface: "en*\nDHCP=no" } }, "network.interface"],
    ["a repository of another scheme", { repository: { address: "ftp://x" } }, "repository.address"],
    ["a repository that leaves its quotes", { repository: { address: 'http://x" --root /x' } }, "repository.address"],
    ["a repository that names a variable", { repository: { address: "http://$HOME" } }, "repository.address"],
    ["a word that nobody knows", { hostname: "n" }, "hostname"],
  ])("refuses %s", (_what, change, message) => {
    expect(() => read({ schema: 1, hostName: "n", ...change })).toThrow(message);
  });

  it("takes options before a key, as sshd does", () => {
    const restricted = `restrict,command="hostd status" ${KEY}`;
    expect(read({ schema: 1, hostName: "n", authorizedKeys: { root: [restricted] } }).authorizedKeys["root"]).toEqual([
      restricted,
    ]);
  });

  it("answers any bytes with a document or a DocumentError", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          try {
            parseIdentity(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(DocumentError);
          }
        },
      ),
    );
  });
});
