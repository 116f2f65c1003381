import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { seedTrust } from "../../../keys/trust.ts";
import { hexOf } from "../../../manifests/digest.ts";
import { verityOf } from "../../../manifests/image.ts";
import { eventually, type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";
import { type Ended, runOstler } from "../../run-ostler.ts";
import { type Sshd, startSshd } from "../../sshd.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup", "/usr/sbin/sshd", "sftp"] };

/** Files that are sent each time: a version's statements, and the timestamp. */
const MUTABLE = 2;

describeWith(NEEDS, "ostler push", () => {
  test("sends a node what it lacks over SSH, has it switch, and the next version ships its changed layer alone", () =>
    withNode(async ({ rig, push, inbox }) => {
      const first = await rig.publish({ version: "1.0.0" });
      const only = await push();
      expect(only).toMatchObject({ exitCode: 0, json: { release: { version: "1.0.0" }, present: 0, host: false } });
      expect((await rig.client.status()).apps).toEqual([]);

      const activated = await push("--activate");
      expect(activated).toMatchObject({ exitCode: 0, json: { operation: { state: "done", version: "1.0.0" } } });
      expect(await rig.get("/version")).toBe("1.0.0");

      const second = await rig.publish({ version: "1.1.0" });
      const base = hexOf(first.layers[0]?.digest ?? second.image);
      await rm(join(inbox, "oci/blobs/sha256", base)); // it is laid down: its blob is not needed again
      const next = await push("--activate", "--no-json");
      expect(next.stdout).toMatch(
        /^shop 1\.1\.0 \([0-9a-f]{12}\): sent .* to node; \d+ were there\n.*deploy shop 1\.1\.0: done/,
      );
      expect(await readdir(join(inbox, "oci/blobs/sha256"))).not.toContain(base);
      expect(await rig.get("/version")).toBe("1.1.0");
    }));

  test("a version that is taken back is told with exit code 1", () =>
    withNode(async ({ rig, push }) => {
      await rig.publish({ version: "1.0.0" });
      expect((await push("--activate")).exitCode).toBe(0);
      await rig.publish({ version: "1.1.0", how: "sick", within: 300 });
      const reverted = await push("--activate");
      expect(reverted).toMatchObject({ exitCode: 1, json: { operation: { state: "failed", reverted: true } } });
      expect(await rig.get("/version")).toBe("1.0.0");
    }));

  test("goes on with a file that was cut, and a node that got other bytes refuses them", () =>
    withNode(async ({ rig, push, inbox }) => {
      const { layers } = await rig.publish({ version: "1.0.0" });
      expect((await push()).exitCode).toBe(0);
      const blob = join(inbox, "oci/blobs/sha256", hexOf(layers[0]?.digest ?? "sha256:"));
      const whole = await readFile(blob);
      await rm(blob);
      await writeFile(`${blob}.part`, whole);
      await truncate(`${blob}.part`, whole.length >> 1);
      expect((await push()).exitCode).toBe(0);
      expect((await readFile(blob)).equals(whole)).toBe(true);

      await writeFile(blob, Buffer.alloc(whole.length, 1));
      const refused = await push("--activate");
      const reason = { code: "blob-digest", hint: expect.stringContaining("push again") };
      expect(refused).toMatchObject({ exitCode: 1, json: { operation: { reason } } });
      expect(await push("--activate")).toMatchObject({ exitCode: 0, json: { operation: { state: "done" } } });
    }));

  test("what is laid down needs no blob any more; where that was damaged, the blob is sent again for the repair", () =>
    withNode(async ({ rig, start, push, inbox }) => {
      const { layers } = await rig.publish({ version: "1.0.0" });
      expect((await push("--activate")).exitCode).toBe(0);
      const [layer] = layers;
      if (layer === undefined) throw new Error("expected a layer");
      const [blob, laidDown] = [join(inbox, "oci/blobs/sha256", hexOf(layer.digest)), verityOf(layer).root];
      expect(existsSync(blob)).toBe(true);
      await rig.stop();
      await start("--care", "1s");
      await eventually(
        async () => existsSync(blob),
        (there) => !there,
      );
      await rig.stop();
      await start(); // whose first look is an hour away: what is sent from here on stays
      expect(await push()).toMatchObject({ exitCode: 0, json: { sent: { files: MUTABLE } } });
      expect(existsSync(blob)).toBe(false);

      const file = join(rig.state, "layers", `${laidDown}.erofs`);
      const bytes = await readFile(file);
      bytes[bytes.length >> 2] = (bytes[bytes.length >> 2] ?? 0) ^ 1;
      await writeFile(file, bytes);
      expect((await rig.client.fsck(true)).damaged).toMatchObject([{ repaired: false }]);
      expect(await push()).toMatchObject({ exitCode: 0, json: { sent: { files: MUTABLE + 1 } } });
      expect((await rig.client.fsck(true)).damaged).toMatchObject([{ repaired: true }]);
      expect((await rig.client.fsck(false)).damaged).toEqual([]);
    }));

  test("a version of before is sent for the node to go back to, though the channel releases another", () =>
    withNode(async ({ rig, start, push, inbox }) => {
      await rig.stop();
      await start("--keep", "1");
      const { image } = await rig.publish({ version: "1.0.0" });
      expect((await push("--activate")).exitCode).toBe(0);
      for (const version of ["1.1.0", "1.2.0"]) {
        await rig.publish({ version });
        expect((await push("--activate")).exitCode).toBe(0);
      }
      await rig.operate("prune");
      await rm(join(inbox, "oci"), { recursive: true }); // as the node looks after it
      const missing = await rig.operate("stage", { image: hexOf(image) });
      expect(missing.reason).toMatchObject({ code: "blob-missing", hint: expect.stringContaining("--image DIGEST") });
      expect(await push("--image", hexOf(image).slice(0, 12))).toMatchObject({ exitCode: 0, json: { image } });
      expect(await rig.operate("stage", { image: hexOf(image) })).toMatchObject({ state: "done" });
      expect(await rig.operate("rollback", { to: hexOf(image) })).toMatchObject({ state: "done", version: "1.0.0" });
      expect((await push("--image", "0123456789ab")).exitCode).toBe(3);
      expect((await push("--image", hexOf(image), "--activate")).exitCode).toBe(2);
    }));

  test("says what is missing where nothing is released, and where the node cannot be reached", () =>
    withNode(async ({ rig, push }) => {
      expect(await push()).toMatchObject({ exitCode: 3, stderr: expect.stringContaining("ostler promote shop") });
      await rig.publish({ version: "1.0.0" });
      expect((await push("--to", "nowhere")).exitCode).toBe(1);
      expect((await push("--confirm-within", "soon")).exitCode).toBe(2);
    }));
});

interface PushedNode {
  rig: Rig;
  /** The directory on the node that things are pushed to. */
  inbox: string;
  /** Starts it again, with options of hostd. */
  start(...options: string[]): Promise<void>;
  push(...options: string[]): Promise<Ended>;
}

/** A node that reads what is pushed to it, reached over a real sshd. */
async function withNode(use: (node: PushedNode) => Promise<void>): Promise<void> {
  await withRig(async (rig) => {
    const [home, keys] = [join(rig.directory, "home"), join(rig.directory, "ssh")];
    const inbox = join(rig.state, "repository");
    for (const directory of [home, inbox, keys]) await mkdir(directory, { mode: 0o700, recursive: true });
    await seedTrust(join(home, "trust"), await readFile(rig.publisher.rootFile));
    const start = (...options: string[]) => rig.start({ repository: inbox, options });
    await start();
    const sshd: Sshd = await startSshd(keys);
    const remote = ["--remote", inbox, "--remote-state", rig.state, "--remote-socket", join(rig.run, "hostd.sock")];
    const common = ["--repository", rig.publisher.directory, "--ssh-config", sshd.config, ...remote];
    try {
      await use({
        rig,
        inbox,
        start,
        push: (...options) => runOstler(home, ["push", "shop", "--to", "node", ...common, ...options]),
      });
    } finally {
      await sshd.stop();
    }
  });
}
