import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { identityFiles } from "../../../../images/boot/identity.ts";
import { checkDocument } from "../../../../manifests/document.ts";
import { type Identity, identityExample, identitySchema } from "../../../../manifests/identity.ts";

function rendered(identity: Identity): Record<string, string> {
  const files = identityFiles(identity).map((file) => [file.path, "link" in file ? `-> ${file.link}` : file.text]);
  return Object.fromEntries(files);
}

describe("identityFiles", () => {
  it("writes the example as the files that systemd, sshd and hostd read", () => {
    expect(rendered({ ...identityExample, root: { signed: {} } })).toEqual({
      hostname: "node-1.example.org\n",
      hosts: "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 node-1.example.org node-1\n",
      localtime: "-> ../usr/share/zoneinfo/Europe/Berlin",
      "ssh/authorized_keys.d/root": `${identityExample.authorizedKeys["root"]?.[0]}\n`,
      "systemd/network/10-node.network": [
        "[Match]",
        "Name=en*",
        "",
        "[Network]",
        "LLMNR=no",
        "MulticastDNS=no",
        "DHCP=no",
        "Address=192.0.2.10/24",
        "Address=2001:db8::10/64",
        "Gateway=192.0.2.1",
        "DNS=192.0.2.53",
        "",
      ].join("\n"),
      "hostd/serve.env":
        'HOSTD_OPTIONS="--repository https://updates.example.org/repository --channel production --root /etc/hostd/root.json"\n',
      "hostd/root.json": '{"signed":{}}',
    });
  });

  it("follows its channel as the identity says", () => {
    const repository = { ...identityExample.repository, address: "/r", channel: "edge", follow: "activate" } as const;
    const optionsOf = (change: object) => {
      const found = identityFiles({ ...identityExample, repository: { ...repository, ...change } });
      return found.flatMap((file) => (file.path === "hostd/serve.env" && "text" in file ? [file.text] : [])).join();
    };
    const plain = "--repository /r --channel edge";
    expect(optionsOf({})).toBe(`HOSTD_OPTIONS="${plain} --follow activate"\n`);
    expect(optionsOf({ between: "02:00-05:00" })).toBe(
      `HOSTD_OPTIONS="${plain} --follow activate --between 02:00-05:00"\n`,
    );
  });

  it("asks by DHCP and looks for what is pushed, where nothing else is said", () => {
    const files = rendered(checkDocument({ schema: 1, hostName: "n" }, identitySchema, "identity"));
    expect(files["systemd/network/10-node.network"]).toContain(
      "Name=e*\n\n[Network]\nLLMNR=no\nMulticastDNS=no\nDHCP=yes\n",
    );
    expect(files["hostd/serve.env"]).toBe(
      'HOSTD_OPTIONS="--repository /var/lib/hostd/repository --channel production"\n',
    );
    expect(files["hosts"]).toContain("127.0.1.1 n\n");
    const onLvm = identityFiles(checkDocument({ schema: 1, hostName: "n" }, identitySchema, "identity"), {
      data: "lvm:a/b",
    });
    expect(JSON.stringify(onLvm)).toContain("--channel production --data lvm:a/b");
    expect(Object.keys(files)).not.toContain("hostd/root.json");
  });

  it("no accepted value can add a line, leave its quotes, or leave /etc", () => {
    const text = fc.string({ unit: "binary", maxLength: 20 });
    const identity = fc.record({
      schema: fc.constant(1),
      hostName: text,
      timeZone: text,
      authorizedKeys: fc.dictionary(text, fc.array(text)),
      network: fc.record({ kind: fc.constant("dhcp"), interface: text }),
      repository: fc.record({ address: text.map((rest) => `https://${rest}`), channel: text }),
    });
    fc.assert(
      fc.property(identity, (one) => {
        for (const part of [{ hostName: "n" }, { network: undefined }, { repository: undefined, authorizedKeys: {} }]) {
          const result = identitySchema.safeParse({ ...one, timeZone: "UTC", ...part });
          if (!result.success) continue;
          for (const file of identityFiles(result.data)) {
            expect(file.path).not.toMatch(/(^|\/)\.\.(\/|$)|^\//);
            if ("text" in file && file.path === "hostd/serve.env")
              expect(file.text).toMatch(/^HOSTD_OPTIONS="[^"\n]*"\n$/);
            if ("text" in file && file.path === "systemd/network/10-node.network")
              expect(file.text.split("\n")).toHaveLength(8);
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});
