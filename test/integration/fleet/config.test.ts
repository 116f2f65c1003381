import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ConfigFile } from "../../../manifests/app.ts";
import { type Fleet, withFleet } from "../../hostd/fleet.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup", "nsenter", "ip", "/usr/sbin/sshd", "sftp"] };
const GREETING: ConfigFile = { path: "/etc/shop/greeting", template: '{{ greeting | default "hello" }}' };
const LIMIT = 300_000;

describeWith(NEEDS, "config of many nodes", () => {
  test(
    "a layer reaches every node as the same one, or none where one does not answer; it is applied node by node",
    () =>
      withFleet(3, async (fleet) => {
        await live(fleet);
        const [first, second] = fleet.nodes;
        const set = (text: string, layer = "group") =>
          fleet.ostler("config", "set", layer, layerFile(fleet, text), "--on", "web");
        const applied = () => Promise.all(fleet.nodes.map(async ({ client }) => (await client.app("shop")).config));

        expect(await set("greeting: [\n")).toMatchObject({ exitCode: 2, stdout: expect.stringContaining("web.yaml:") });
        await second?.stop();
        const refused = await set("greeting: hi\n");
        expect(refused).toMatchObject({
          exitCode: 1,
          stdout: expect.stringContaining("nothing was set on any node: n-2"),
        });
        expect((await first?.client.config())?.layers).toEqual([]);
        await second?.start();

        const spread = await set("greeting: hi\n");
        const nodes = ["n-1", "n-2", "n-3"].map((node) =>
          expect.objectContaining({ node, revision: 1, apply: ["shop"] }),
        );
        expect(spread).toMatchObject({ exitCode: 0, json: { nodes } });
        expect(new Set((spread.json as { nodes: { digest: string }[] }).nodes.map(({ digest }) => digest)).size).toBe(
          1,
        );
        expect(await applied()).toMatchObject(Array(3).fill({ declared: 1, applied: 0 }));

        const all = await fleet.ostler("config", "apply", "--on", "web");
        expect(all).toMatchObject({
          exitCode: 0,
          json: { left: [], nodes: [{ node: "n-1" }, { node: "n-2" }, { node: "n-3" }] },
        });
        expect(await applied()).toMatchObject(Array(3).fill({ declared: 1, applied: 1, drift: [] }));

        const typo = layerFile(fleet, "greting: hi\n");
        const warned = await fleet.ostler("config", "set", "site", typo, "--on", "n-2", "--no-json");
        expect(warned.stdout).toMatch(/^n-2 +site +[0-9a-f]{12} +2 +none *\nn-2: .*greting/m);
        const own = fleet.ostler("config", "set", "node", layerFile(fleet, "greeting: mine\n"), "--on", "n-3");
        expect(await own).toMatchObject({ exitCode: 0 });
        const shown = await fleet.ostler("config", "show", "shop", "--origin", "--on", "n-3", "--no-json");
        expect(shown.stdout).toMatch(/greeting +"mine" +node +/);
      }),
    LIMIT,
  );

  test(
    "the first node whose app does not take it keeps what it had, and those after it are not begun",
    () =>
      withFleet(3, async (fleet) => {
        await live(fleet);
        await fleet.ostler("config", "set", "group", layerFile(fleet, "greeting: sick\n"), "--on", "web");
        const ended = await fleet.ostler("config", "apply", "shop", "--on", "n-2", "web", "--no-json");
        expect(ended).toMatchObject({
          exitCode: 1,
          stdout: expect.stringMatching(/^n-2: .*failed.*\nnot begun: n-1, n-3\n$/s),
        });
        for (const { client } of fleet.nodes) {
          expect(await client.app("shop")).toMatchObject({ health: "healthy", current: { number: 1 } });
        }
      }),
    LIMIT,
  );
});

function layerFile({ directory }: Fleet, text: string): string {
  const file = join(directory, "web.yaml");
  writeFileSync(file, text);
  return file;
}

/** Every node is in the inventory and runs a shop whose answer is its config. */
async function live(fleet: Fleet): Promise<void> {
  await fleet.publish({ version: "1.0.0", declared: {}, config: [GREETING], stable: 100, within: 1_000 });
  for (const { name, sshd, state } of fleet.nodes) {
    const there = ["--remote-socket", join(fleet.directory, name, "run/hostd.sock"), "--remote-state", state];
    const added = await fleet.ostler(
      "node",
      "add",
      "node",
      "--name",
      name,
      "--group",
      "web",
      "--ssh-config",
      sshd.config,
      ...there,
    );
    expect(added.exitCode).toBe(0);
  }
  const rollout = fleet.file("product: shop\nwaves: [{ nodes: rest }]\n");
  expect(await fleet.ostler("rollout", "start", rollout)).toMatchObject({ exitCode: 0, json: { state: "done" } });
}
