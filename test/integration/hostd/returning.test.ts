import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { hexOf } from "../../../manifests/digest.ts";
import type { Published } from "../../hostd/publisher.ts";
import { eventually, type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };
const ROOT = join(import.meta.dirname, "../../..");

describeWith(NEEDS, "a version that ran here and is no longer on the node", () => {
  test("a rollback to it brings it again by what the journal has of it, whatever the channel releases since", () =>
    withRig(async (rig) => {
      const [first] = await forgotten(rig);
      const floor = (await rig.client.app("shop")).target;
      const word = hexOf(first.image).slice(0, 12);
      expect(await rig.client.begin("shop", "rollback", { to: word }).catch((error) => error)).toMatchObject({
        code: "not-staged",
        hint: `hostd stage shop ${word} brings it again`,
      });
      const back = hostd(rig, "rollback", "shop", "--to", "1", "--request-id", "night");
      expect(back).toMatchObject({ status: 0, json: { kind: "rollback", state: "done", version: "1.0.0" } });
      expect(await rig.get("/version")).toBe("1.0.0");
      const { changes } = await rig.client.changes({ app: "shop", limit: 2 });
      expect(changes.map(({ kind, state, version }) => [kind, state, version])).toEqual([
        ["rollback", "done", "1.0.0"],
        ["stage", "done", "1.0.0"],
      ]);
      expect(hostd(rig, "rollback", "shop", "--to", "1", "--request-id", "night").json).toMatchObject({
        id: changes[0]?.id,
      });

      await rig.publish({ version: "0.9.0", sequence: 1 }); // the floor stays where it was
      expect(await rig.operate("stage")).toMatchObject({ reason: { message: /from sequence 3 on, got 1/ } });
      expect(floor).toMatchObject({ version: "1.2.0" });
    }));

  test("one that was revoked since is refused, and so is one that never ran here", () =>
    withRig(async (rig) => {
      const [first] = await forgotten(rig);
      await rig.publisher.revoke(first.image);
      const refused = hostd(rig, "rollback", "shop", "--to", hexOf(first.image));
      expect(refused).toMatchObject({
        status: 3,
        json: { kind: "stage", reason: { message: /revoked: leaks orders/ } },
      });
      expect(await rig.get("/version")).toBe("1.2.0");
      const never = hostd(rig, "stage", "shop", "0123456789ab");
      expect(never).toMatchObject({ status: 2, json: { error: { code: "unknown-image" } } });
    }));

  test("one that failed here is not brought, and a channel is not to be chosen for one that was good", () =>
    withRig(async (rig) => {
      await rig.start({ options: ["--keep", "1"] });
      const [good, bad] = [
        await rig.publish({ version: "1.0.0" }),
        { version: "1.1.0", how: "sick", within: 300 } as const,
      ];
      expect((await rig.operate("deploy")).state).toBe("done");
      const failed = await rig.publish(bad);
      expect((await rig.operate("deploy")).state).toBe("failed");
      await rig.publish({ version: "1.2.0" });
      expect((await rig.operate("deploy")).state).toBe("done"); // which lifts the quarantine
      await rig.operate("prune");
      expect((await rig.client.app("shop")).slots.map(({ version }) => version)).toEqual(["1.2.0", "1.0.0"]);
      expect(hostd(rig, "rollback", "shop", "--to", "2")).toMatchObject({
        status: 2,
        json: { error: { code: "unknown-image" } },
      });
      expect(hostd(rig, "stage", "shop", hexOf(failed.image)).status).toBe(2);
      expect(hostd(rig, "stage", "shop", hexOf(good.image), "--channel", "staging").status).toBe(2);
    }));

  test("it stands in its old place: what was released after it goes before it", () =>
    withRig(async (rig) => {
      const [first] = await forgotten(rig);
      await rig.publish({ version: "1.3.0" });
      expect((await rig.operate("stage")).state).toBe("done");
      expect(await rig.operate("stage", { image: hexOf(first.image) })).toMatchObject({
        state: "done",
        version: "1.0.0",
      });
      expect((await rig.client.app("shop")).slots.map(({ version }) => version).at(-1)).toBe("1.0.0");
      expect(await rig.operate("activate")).toMatchObject({ state: "done", version: "1.3.0" });
    }));

  test("one whose blobs are in no repository any more is told, and nothing changes", () =>
    withRig(async (rig) => {
      const [first] = await forgotten(rig);
      rmSync(join(rig.publisher.directory, "oci/blobs/sha256", hexOf(first.image)));
      const failed = hostd(rig, "rollback", "shop", "--to", "1");
      expect(failed).toMatchObject({ status: 1, json: { kind: "stage", reason: { code: "blob-missing" } } });
      expect(await rig.get("/version")).toBe("1.2.0");
    }));

  test("kill -9 while it is brought: it is brought all the same, and is then there to go back to", () =>
    withRig(async (rig) => {
      const [first] = await forgotten(rig);
      rig.arm({ point: "stage.fetch.before", action: "kill" });
      await rig.client.begin("shop", "stage", { image: hexOf(first.image) });
      await rig.ended();
      await rig.start({ options: ["--keep", "1"] });
      const { slots } = await eventually(
        () => rig.client.app("shop"),
        ({ operations }) => operations.length === 0,
      );
      expect(slots).toContainEqual(expect.objectContaining({ image: first.image, state: "staged" }));
      expect(await rig.operate("rollback", { to: hexOf(first.image) })).toMatchObject({ state: "done" });
    }));
});

/** Three versions that ran one after the other, of which the node keeps the last two. */
async function forgotten(rig: Rig): Promise<[Published, ...Published[]]> {
  await rig.start({ options: ["--keep", "1"] });
  const first = await rig.publish({ version: "1.0.0" });
  expect((await rig.operate("deploy")).state).toBe("done");
  for (const version of ["1.1.0", "1.2.0"]) {
    await rig.publish({ version });
    expect((await rig.operate("deploy")).state).toBe("done");
  }
  await rig.operate("prune");
  const { slots } = await rig.client.app("shop");
  expect(slots.map(({ version }) => version)).toEqual(["1.2.0", "1.1.0"]);
  return [first];
}

function hostd(rig: Rig, ...words: string[]) {
  const { status, stdout } = spawnSync(join(ROOT, "bin/hostd"), [...words, "--socket", join(rig.run, "hostd.sock")], {
    encoding: "utf8",
    timeout: 60_000,
  });
  return { status, json: JSON.parse(stdout) as unknown };
}
