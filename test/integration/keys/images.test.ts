import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { homeOf, initHome, openSigner } from "../../../keys/authority.ts";
import { appendEnvelopes } from "../../../keys/envelopes.ts";
import { runOstler } from "../../run-ostler.ts";
import { markOf, storeSmallImage } from "../../small-image.ts";

test("ostler images tells of each image its newest mark that counts, and nothing of marks where no keys are known", async () => {
  const home = await mkdtemp(join(tmpdir(), "ostler-images-"));
  try {
    const store = join(home, "store");
    const { digest } = await storeSmallImage(store, "shop", "one");
    const listed = async () => (await runOstler(home, ["images", "shop"])).json;
    const image = { name: "shop:latest", digest, layers: [{}], size: expect.any(Number) };
    expect(await listed()).toMatchObject({ images: [image] });
    expect(JSON.stringify(await listed())).not.toContain('"mark"');

    await initHome(homeOf(home), undefined, new Date());
    expect(await listed()).toMatchObject({ images: [{ ...image, mark: "none" }] });
    const [tester, builder] = [
      await openSigner(homeOf(home), "tester", undefined),
      await openSigner(homeOf(home), "builder", undefined),
    ];
    await appendEnvelopes(store, digest, [markOf(digest, builder)]);
    expect(await listed()).toMatchObject({ images: [{ mark: "none" }] });
    await appendEnvelopes(store, digest, [markOf(digest, tester)]);
    expect(await listed()).toMatchObject({ images: [{ mark: "green" }] });
    await appendEnvelopes(store, digest, [markOf(digest, tester, { failed: ["health"] })]);
    expect(await listed()).toMatchObject({ images: [{ mark: "red" }] });
    expect((await runOstler(home, ["images", "--no-json"])).stdout).toMatch(/^NAME .* MARK *\n.*\n *shop.* red *$/m);
    expect((await runOstler(home, ["revoke", digest, "--reason", "leaks orders"])).exitCode).toBe(0);
    expect(await listed()).toMatchObject({ images: [{ mark: "revoked" }] });
    expect((await runOstler(home, ["images", "other"])).json).toMatchObject({ images: [] });
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});
