import { describe, expect, test } from "vitest";
import { mergeLayers, releaseLayer } from "../../../../hostd/config/merge.ts";
import { readLayer } from "../../../../hostd/config/read.ts";
import { pathsIn, renderConfig, unusedIn } from "../../../../hostd/config/render.ts";

const declared = (values: Record<string, string>) => mergeLayers([releaseLayer(values)]);
const site = (text: string) => mergeLayers([{ layer: "site", file: "site.yaml", tree: readLayer("site.yaml", text) }]);
const noSecrets = () => undefined;
const render = (template: string, values: Parameters<typeof renderConfig>[2], secrets: Record<string, string> = {}) =>
  renderConfig("shop", [{ path: "/etc/shop", template }], values, (name) => secrets[name])[0];

describe("renderConfig", () => {
  test("puts declared values in, literally: a value is never a template of its own", () => {
    const files = [{ path: "/etc/shop", template: "a={{ a }}\nb={{b}} {{ a }} {not} {{ }}" }];
    expect(renderConfig("shop", files, declared({ a: "{{ b }}", b: "$&$1" }), noSecrets)).toEqual([
      { path: "/etc/shop", bytes: "a={{ b }}\nb=$&$1 {{ b }} {not} {{ }}", secret: false },
    ]);
  });

  test("writes scalars as text, anything as JSON, and the default where nothing is declared", () => {
    const values = site('n: 5\non: true\nname: a"b\nhosts: [x, y]\ndb: {port: 1, host: h}\n');
    const template =
      '{{ n }} {{ on }} {{ name }} {{ name | json }} {{ hosts | json }} {{ db | json }} {{ no | default "d" | json }}';
    expect(render("{{ db | default 1 | json }}", values)?.bytes).toBe('{"host":"h","port":1}');
    expect(render(template, values)?.bytes).toBe('5 true a"b "a\\"b" ["x","y"] {"host":"h","port":1} "d"');
    expect(render("{{ n | default 1 }}", values)?.bytes).toBe("5");
  });

  test("names every value nobody declared, with file, line and column", () => {
    const files = [
      { path: "/etc/shop", template: "a={{ a }}\nb={{ b }}" },
      { path: "/etc/other", template: "{{ toString }}" },
    ];
    expect(() => renderConfig("shop", files, declared({ a: "1" }), noSecrets)).toThrow(
      "expected a value for {{ b }} at /etc/shop:2:3, {{ toString }} at /etc/other:1:1",
    );
  });

  test.each([
    ["{{ db.hosst }}", "did you mean db.host, of site (site.yaml:1)?"],
    ["{{ colour }}", "put colour into the layer of the app, hostd config set app/shop FILE, or declare it"],
    ["{{ secret.key }}", "hostd secret set key reads it from standard input"],
    ["{{ secret.key }} {{ colour }}", "ostler promote --set; hostd secret set key reads it"],
  ])("says of %s where to put it", (template, hint) => {
    expect(() => render(template, site("db: {host: h}"))).toThrow(
      expect.objectContaining({ code: "config-value", hint: expect.stringContaining(hint) }),
    );
  });

  test.each([
    ["{{ db }}", "{{ db }} at /etc/shop:1:1 (a map: write one of its values, or {{ db | json }})"],
    ["{{ db | default 1 }}", "{{ db }} at /etc/shop:1:1 (a map: "],
    ["{{ hosts }}", "{{ hosts }} at /etc/shop:1:1 (a list: write {{ hosts | json }})"],
    ["{{ a b }}", "/etc/shop:1:6: expected }} or |"],
  ])("refuses %s, which is no text", (template, message) => {
    expect(() => render(template, site("db: {host: h}\nhosts: [a]"))).toThrow(message);
  });

  test("a file with a secret is marked as one; without the secret it is refused", () => {
    expect(render("k={{ secret.key }}", site(""), { key: "s3" })).toEqual({
      path: "/etc/shop",
      bytes: "k=s3",
      secret: true,
    });
    expect(render("k", site(""))?.secret).toBe(false);
    expect(() => render("{{ secret.key }}", site(""))).toThrow("expected a value for {{ secret.key }}");
    expect(() => render("{{ secret.key }}", declared({ "secret.key": "not one" }))).toThrow("secret.key");
  });

  test("a value that is put in again and again does not fill the memory", () => {
    expect(() => render("{{ a }}".repeat(9_000), declared({ a: "x".repeat(60_000) }))).toThrow("at most 1048576");
  });
});

test("unusedIn names what no template reads, neither by name nor in a map written whole", () => {
  const paths = pathsIn([{ path: "/a", template: "{{ db | json }} {{ n }} {{ secret.key }}" }]);
  expect([...paths]).toEqual(["db", "n", "secret.key"]);
  expect(unusedIn(site("db: {a: 1}\nn: 1\nnn: 2"), paths)).toEqual(["nn"]);
});
