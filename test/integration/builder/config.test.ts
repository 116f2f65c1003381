import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../../needs.ts";
import { openShared, openWorkshop, type Shared } from "./workshop.ts";

describeWith({ root: true, programs: ["bwrap"] }, "the app document of a recipe", () => {
  let shared: Shared;
  beforeAll(async () => {
    shared = await openShared();
  });
  afterAll(() => shared.remove());

  test("the template and the signal go into the app document as they are", async () => {
    const workshop = openWorkshop(shared, "config");
    workshop.write("a.tmpl", 'host={{ db.host }}\nkey={{ secret.key | json }}\n{{ "{{" }} {{ $x }}\n');
    const recipe = 'FROM MINI\nDEPLOY\nENTRYPOINT ["/bin/sh"]\nCONFIG /etc/a --template=a.tmpl --reload=SIGUSR1\n';
    const { app } = await workshop.build(recipe);
    const template = 'host={{ db.host }}\nkey={{ secret.key | json }}\n{{ "{{" }} {{ $x }}\n';
    expect(app?.config).toEqual([{ path: "/etc/a", template, reload: "SIGUSR1" }]);
  });

  test("a template that no node could render is refused at its place", async () => {
    const workshop = openWorkshop(shared, "broken");
    workshop.write("etc/a.tmpl", "one\n  host = {{ db.host | upper }}\n");
    const recipe = 'FROM MINI\nDEPLOY\nENTRYPOINT ["/bin/sh"]\nCONFIG /etc/a --template=etc/a.tmpl\n';
    await expect(workshop.build(recipe)).rejects.toMatchObject({
      code: "template",
      message: [
        'etc/a.tmpl:2:21: expected json or default, got "| upper"',
        "  2 |   host = {{ db.host | upper }}",
        "    |                     ^^^^^^^",
      ].join("\n"),
      hint: expect.stringContaining("docs/recipe.md"),
    });
  });

  test.each([
    ["is not UTF-8", Buffer.from("name=M\xfcller\n", "latin1"), "expected UTF-8, got other bytes"],
    ["is longer than an image may hold", Buffer.alloc(65_537, "a"), "expected at most 65536 characters, got 65537"],
  ])("a template that %s is refused before any step", async (title, bytes, found) => {
    const workshop = openWorkshop(shared, title.replaceAll(" ", "-"));
    writeFileSync(join(workshop.directory, "a.tmpl"), bytes);
    const recipe = 'FROM MINI\nDEPLOY\nRUN false\nENTRYPOINT ["/bin/sh"]\nCONFIG /etc/a --template=a.tmpl\n';
    await expect(workshop.build(recipe)).rejects.toMatchObject({
      code: "template",
      message: expect.stringMatching(new RegExp(`thing\\.recipe:5: CONFIG /etc/a: template a\\.tmpl: ${found}$`)),
      hint: expect.any(String),
    });
  });

  test.each([
    ["CONFIG /etc/a --template=missing.tmpl", "CONFIG"],
    ["LISTEN 18100\nDATA /var/lib/x", "LISTEN"],
    ['TEST ["/bin/true"]\nHEALTHCHECK CMD true', "HEALTHCHECK", 3],
    ["MIGRATE true", "MIGRATE"],
  ])("%j is refused in an image that runs nothing", async (lines, keyword, line = 2) => {
    const workshop = openWorkshop(shared, `nothing-${keyword.toLowerCase()}`);
    await expect(workshop.build(`FROM MINI\n${lines}\n`)).rejects.toMatchObject({
      code: "no-program",
      message: expect.stringMatching(
        new RegExp(`thing\\.recipe:${line}: ${keyword}: expected ENTRYPOINT or CMD, got `),
      ),
    });
  });

  test("an image that runs nothing may be tested, and gives what is built on it its program alone", async () => {
    const base = openWorkshop(shared, "base-image", join(shared.directory, "home"));
    const nothing = await base.build("FROM MINI\nTEST true\nHEALTHCHECK CMD true\nHEALTHCHECK NONE\n");
    expect(nothing.app).toBeUndefined();
    await base.build('FROM MINI\nENTRYPOINT ["/bin/sh"]\nLISTEN 80\n');
    const { app } = await base.build("FROM image:thing\nDATA /var/lib/x\n");
    expect(app).toMatchObject({ listen: [], data: [{ path: "/var/lib/x" }] });
  });
});
