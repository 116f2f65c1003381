import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../../needs.ts";
import { openShared, openWorkshop, type Shared } from "./workshop.ts";

describeWith({ root: true, programs: ["bwrap"] }, "CONFIG of a recipe", () => {
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
});
