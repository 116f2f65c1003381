import { lutimesSync, mkdirSync, readdirSync, renameSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Engine } from "../../../hostd/engine.ts";
import { collectPushed, type Old } from "../../../hostd/retention/pushed.ts";
import { BOOT_ANNOTATION, bootExample } from "../../../manifests/boot.ts";
import { canonicalJson } from "../../../manifests/document.ts";
import { DAY, type InProcess, withEngine } from "../../hostd/in-process.ts";
import { withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NONE: Old = new Set();
/** A blob that no version on the node names. */
const BLOB = "b".repeat(64);

describeWith({ root: true }, "hostd looks after what was pushed", () => {
  test("takes what was old at two looks, and nothing for a clock that jumped", () =>
    withInbox(async ({ engine, blobs, setClock }) => {
      writeFileSync(join(blobs, BLOB), "pushed");
      setClock(8 * DAY);
      const jumped = await collectPushed(engine, NONE);
      expect(jumped).toEqual({ collected: [], old: new Set([BLOB]) });
      setClock(0);
      expect(await collectPushed(engine, jumped.old)).toEqual({ collected: [], old: NONE });
      setClock(8 * DAY);
      const { old } = await collectPushed(engine, NONE);
      expect((await collectPushed(engine, old)).collected).toEqual([BLOB]);
      expect(readdirSync(blobs)).toEqual([]);
    }));

  test("takes nothing from a staging that began while it looked", () =>
    withInbox(async ({ engine, blobs, setClock }) => {
      writeFileSync(join(blobs, BLOB), "pushed");
      setClock(8 * DAY);
      const { old } = await collectPushed(engine, NONE);
      const layers = () => {
        engine.submit.stage({ app: "shop", by: "a test" });
        return engine.node.layers();
      };
      const looked = await collectPushed({ ...engine, node: { ...engine.node, layers } } as Engine, old);
      expect(looked).toEqual({ collected: [], old: new Set([BLOB]) });
      expect(readdirSync(blobs)).toEqual([BLOB]);
    }));

  test("takes every part of a host's UKIs that the node has taken in, the recovery system's too", () =>
    withInbox(async ({ engine, blobs }) => {
      const part = { digest: `sha256:${BLOB}` as const, size: 6 };
      const boot = { ...bootExample, recovery: { uki: part, parts: [part] } };
      const image = `sha256:${"a".repeat(64)}`;
      const annotations = { [BOOT_ANNOTATION]: canonicalJson(boot) };
      const manifest = { config: { digest: image }, layers: [], annotations };
      writeFileSync(join(blobs, BLOB), "pushed");
      const { apps, slots, operations } = engine.journal;
      const journal = {
        operations,
        apps: { ...apps, list: () => [{ app: "host" }] },
        slots: { ...slots, list: () => [{ app: "host", image, manifest }] },
      };
      const host = { files: { parts: async () => [part.digest] } };
      expect((await collectPushed({ ...engine, journal, host } as unknown as Engine, NONE)).collected).toEqual([BLOB]);
    }));

  test("takes plain files alone, and none through a link to another directory", () =>
    withInbox(async ({ engine, blobs, directory, setClock }) => {
      const elsewhere = join(directory, "elsewhere");
      for (const place of [elsewhere, join(blobs, "directory")]) mkdirSync(place);
      for (const path of [join(elsewhere, "kept"), join(blobs, BLOB)]) writeFileSync(path, "");
      symlinkSync(join(elsewhere, "kept"), join(blobs, "link"));
      const long = new Date(Date.now() - 30 * DAY);
      for (const name of ["directory", BLOB]) utimesSync(join(blobs, name), long, long);
      lutimesSync(join(blobs, "link"), long, long);
      const { old } = await collectPushed(engine, NONE);
      expect((await collectPushed(engine, old)).collected).toEqual([BLOB]);
      expect(readdirSync(blobs).sort()).toEqual(["directory", "link"]);

      renameSync(blobs, `${blobs}-before`);
      symlinkSync(elsewhere, blobs);
      setClock(8 * DAY);
      expect(await collectPushed(engine, new Set(["kept"]))).toEqual({ collected: [], old: NONE });
      expect(readdirSync(elsewhere)).toEqual(["kept"]);
    }));
});

/** A node that is pushed to, on which a staging stands still until it ends. */
function withInbox(use: (node: InProcess & { directory: string; blobs: string }) => Promise<void>): Promise<void> {
  return withRig(async (rig) => {
    const repository = join(rig.state, "repository");
    const blobs = join(repository, "oci/blobs/sha256");
    mkdirSync(blobs, { recursive: true });
    const staging = Promise.withResolvers<never>();
    staging.promise.catch(() => {}); // most tests stage nothing
    await withEngine(
      rig,
      async (node) => {
        try {
          await use({ ...node, directory: rig.directory, blobs });
        } finally {
          staging.reject(new Error("nothing is staged here"));
        }
      },
      { repository, examine: () => staging.promise },
    );
  });
}
