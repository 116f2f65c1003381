import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { run } from "../../effects/process.ts";
import { ESP, entryName } from "../../images/boot/entries.ts";
import { openStore } from "../../images/store.ts";
import type { Boot } from "../../manifests/boot.ts";
import type { Digest } from "../../manifests/digest.ts";
import { describeWith } from "../needs.ts";
import { runOstler } from "../run-ostler.ts";
import { openHostHome } from "./host-home.ts";
import { withMachine } from "./machine.ts";

const PROGRAMS = ["qemu-system-x86_64", "sbsign", "sign-efi-sig-list", "openssl", "mmdebstrap", "ssh", "mcopy"];
const RECIPES = join(import.meta.dirname, "../../recipes/host");
const RECIPE = join(RECIPES, "host.recipe");
const START = 400_000;

describeWith({ root: true, programs: PROGRAMS }, "Secure Boot with keys of one's own", () => {
  let work: string;
  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), "ostler-secure-boot-"));
  });
  afterAll(() => rm(work, { recursive: true, force: true }));

  test("the first start enrolls the keys, a signed version boots, an unsigned one is refused and the signed one comes back", async () => {
    const [keys, disk, identity] = ["keys", "disk", "identity.json"].map((name) => join(work, name)) as [
      string,
      string,
      string,
    ];
    await run([join(RECIPES, "secure-boot-keys"), keys]);
    const home = await openHostHome();
    const signer = ["--uki-key", join(keys, "db.key"), "--uki-cert", join(keys, "db.crt")];
    const built = await runOstler(home.directory, ["build", RECIPE, ...signer]);
    expect(built).toMatchObject({ exitCode: 0 });
    const { boot, descriptor } = built.json as { boot: Boot; descriptor: { digest: Digest } };
    const store = await openStore(join(home.directory, "store"));
    const authorizedKeys = { root: [(await readFile(`${home.sshKey}.pub`, "utf8")).trim()] };
    await writeFile(identity, JSON.stringify({ schema: 1, hostName: "node-1", authorizedKeys }));
    const options = ["--unverified", "--size", "4G", "--identity", identity, "--enroll", keys, "--output", disk];
    const made = await runOstler(home.directory, ["disk", descriptor.digest, ...options]);
    expect(made).toMatchObject({ exitCode: 0 });

    await withMachine({ name: "secure-boot", disk, sshKey: home.sshKey, secureBoot: true }, async (machine) => {
      await machine.waitForSsh("true", START);
      expect(machine.resets).toBe(1); // the enrolment's own
      const state = "od -An -tu1 -j4 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
      expect((await machine.ssh(state)).stdout.trim()).toBe("1");
      expect((await machine.ssh("cat /sys/kernel/security/lockdown")).stdout).toContain("[integrity]");

      const unsigned = boot.parts.slice(0, 3).map(({ digest }) => store.read(digest, 1 << 30));
      const file = Buffer.concat(await Promise.all(unsigned));
      file[0x200] = 1; // what was signed is not this
      const entry = entryName({ number: 2, root: boot.root, tries: { left: 3, done: 0 } });
      await machine.ssh(`cat >/efi/${ESP.entries}/${entry} && sync`, { input: file, timeout: 120_000 });
      await machine.ssh(`bootctl set-oneshot ${entry} && systemctl reboot`);
      await machine.console.waitFor(/Access Denied|Security Violation/, START);
      await machine.waitForSsh("true", START);
      const left = entryName({ number: 2, root: boot.root, tries: { left: 2, done: 1 } });
      expect((await machine.ssh(`ls /efi/${ESP.entries}`)).stdout).toContain(left);
    });
  });
});
