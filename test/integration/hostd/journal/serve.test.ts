import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { ProcessError, run } from "../../../../effects/process.ts";
import { readMark } from "../../../../hostd/journal/mark.ts";
import { versionOf } from "../../../hostd/crash.ts";
import { eventually, type Rig, withRig } from "../../../hostd/rig.ts";
import { processesOf } from "../../../hostd/whole.ts";
import { describeWith } from "../../../needs.ts";

const MAIN = join(import.meta.dirname, "../../../../hostd/main.ts");

/** Puts zeros in the place of the seal's own hash, in all files that have it: the seal cannot be read then. */
function breakSeal(rig: Rig): void {
  const names = ["hostd.db", "hostd.db-wal"];
  const aside = mkdtempSync(join(rig.directory, "aside-"));
  for (const name of names) copyFileSync(join(rig.state, name), join(aside, name));
  const database = new DatabaseSync(join(aside, "hostd.db"));
  const own = String(database.prepare("SELECT own FROM seal").get()?.["own"]);
  database.close();
  for (const name of names) {
    const file = join(rig.state, name);
    writeFileSync(file, readFileSync(file, "latin1").replaceAll(own, "0".repeat(own.length)), "latin1");
  }
}

/** Changes a letter of the app's name in every row that has it: rows that read well and say something else. */
function alter(rig: Rig): void {
  const file = join(rig.state, "hostd.db");
  const text = readFileSync(file, "latin1");
  expect(text).toContain("operation.done");
  writeFileSync(file, text.replaceAll("operation.done", "operation.dome"), "latin1");
}

/** What the journal's own files hold. */
function filesOf(rig: Rig): string[] {
  return ["hostd.db", "hostd.db-wal", "hostd.db-mark"].map((name) => readFileSync(join(rig.state, name), "latin1"));
}

/** What was kept of damaged journals, without their logs. */
function keptOf(rig: Rig): Buffer[] {
  const names = readdirSync(rig.state).filter((name) => name.startsWith("hostd.db.damaged-") && !name.endsWith("-wal"));
  return names.map((name) => readFileSync(join(rig.state, name)));
}

async function hostd(rig: Rig, ...words: string[]): Promise<{ exitCode: number | undefined; text: string }> {
  try {
    const { stdout } = await run([process.execPath, MAIN, ...words, "--state", rig.state, "--no-json"]);
    return { exitCode: 0, text: stdout };
  } catch (error) {
    if (!(error instanceof ProcessError)) throw error;
    return { exitCode: error.exitCode, text: error.message };
  }
}

async function deployed(rig: Rig): Promise<string> {
  const version = versionOf(rig, 1);
  await rig.publish({ version });
  expect((await rig.operate("deploy")).state).toBe("done");
  return version;
}

describeWith({ root: true, programs: ["bwrap", "perl"] }, "a hostd whose journal is damaged", () => {
  test("does nothing but say so; the app goes on; the copy brings all of it back", () =>
    withRig(async (rig) => {
      await rig.start();
      const version = await deployed(rig);
      const { pid } = (await rig.client.app("shop")).process ?? {};
      await rig.stop();
      const whole = await hostd(rig, "journal", "check");
      expect(whole.exitCode).toBe(0);
      expect(whole.text).toMatch(/hostd\.db: sound\n.*copy: sound, up to .*, which is all of it/);

      alter(rig);
      const damaged = readFileSync(join(rig.state, "hostd.db"));
      await rig.start({ damaged: true });
      const refusal = { code: "journal-damaged", message: /a row is not what was written/, hint: /journal restore/ };
      await expect(rig.client.status()).rejects.toMatchObject(refusal);
      await expect(rig.client.begin("shop", "stage", {})).rejects.toMatchObject(refusal);
      expect(await rig.get("/version")).toBe(version);
      expect(processesOf(rig)).toEqual([version]);
      expect(readFileSync(join(rig.state, "hostd.db")).equals(damaged)).toBe(true);

      const found = await hostd(rig, "journal", "check");
      expect(found.exitCode).toBe(1);
      expect(found.text).toMatch(/damaged: a row is not what was written.*sound, up to .*, which is all of it/s);
      const restored = await hostd(rig, "journal", "restore");
      expect(restored.exitCode).toBe(0);
      expect(restored.text).toMatch(/the damaged one is .*hostd\.db\.damaged-/);
      expect(keptOf(rig)).toEqual([damaged]);
      expect(await rig.stop()).toBe(0);
      await rig.start();
      expect((await rig.client.app("shop")).process?.pid).toBe(pid);
      expect((await rig.operate("stage")).state).toBe("done");
      expect((await rig.client.changes({ app: "shop" })).changes.map(({ kind }) => kind)).toEqual(["stage", "deploy"]);
      expect(await rig.stop()).toBe(0);
      const again = await hostd(rig, "journal", "restore");
      expect(again.exitCode).toBe(2);
      expect(again.text).toMatch(/is sound: there is nothing to restore/);
      expect(keptOf(rig)).toEqual([damaged]);
    }));

  test("takes a copy that lacks changes only where that is accepted, and says how many", () =>
    withRig(async (rig) => {
      await rig.start();
      await deployed(rig);
      await rig.stop();
      const journal = join(rig.state, "hostd.db");
      const [copy, copied] = [readFileSync(`${journal}.copy`), readMark(journal) ?? 0];
      await rig.start();
      await rig.client.setLayer("site", "site.yaml", "greeting: hello\n");
      await rig.stop();
      writeFileSync(`${journal}.copy`, copy);
      alter(rig);
      const damaged = readFileSync(journal);
      const missing = (readMark(journal) ?? 0) - copied;
      expect(missing).toBeGreaterThan(1);
      const refused = await hostd(rig, "journal", "restore");
      expect(refused.exitCode).toBe(1);
      expect(refused.text).toMatch(new RegExp(`the copy ends at .*: ${missing} changes after it would be forgotten`));
      expect(readFileSync(journal).equals(damaged)).toBe(true);
      expect(keptOf(rig)).toEqual([]);
      expect((await hostd(rig, "journal", "restore", "--accept-loss")).exitCode).toBe(0);
      expect(keptOf(rig)).toEqual([damaged]);
      await rig.start();
      expect((await rig.client.config()).revision).toBe(0);
      expect((await rig.client.app("shop")).current?.state).toBe("good");
    }));
});

describeWith({ root: true, programs: ["bwrap", "perl"] }, "a hostd whose journal is damaged while it runs", () => {
  test("so that it cannot be read any more, refuses, lives, and leaves all its files as they are", () =>
    withRig(async (rig) => {
      await rig.start();
      const version = await deployed(rig);
      await rig.stop(); // which copies
      await rig.start({ options: ["--care", "1s"] });
      const { pid } = (await rig.client.app("shop")).process ?? {};
      breakSeal(rig);
      const damaged = filesOf(rig);
      const answer = await eventually(
        () => rig.client.status().catch((error) => error),
        ({ code }) => code === "journal-damaged",
      );
      expect(answer.message).toMatch(/the seal is not what was written/);
      await expect(rig.client.begin("shop", "stage", {})).rejects.toMatchObject({ code: "journal-damaged" });
      expect(await rig.get("/version")).toBe(version);
      expect(processesOf(rig)).toEqual([version]);
      expect(await rig.stop()).toBe(0);
      expect(filesOf(rig)).toEqual(damaged);

      expect((await hostd(rig, "journal", "restore", "--accept-loss")).exitCode).toBe(0);
      await rig.start();
      expect((await rig.client.app("shop")).process?.pid).toBe(pid);
    }));
});

describeWith({ root: true, programs: ["bwrap", "perl"] }, "hostd looks after what it has", () => {
  test("while it reads the layers, which takes long, the journal is looked at as ever", () =>
    withRig(async (rig) => {
      await rig.start();
      await rig.publish({ version: "1.0.0", bulk: 300 }); // half a minute at the speed of a scrub
      expect((await rig.operate("stage")).state).toBe("done");
      await rig.stop();
      await rig.start({ options: ["--care", "1s"] });
      const looks = new Set<string>();
      const { scrub } = await eventually(
        () => rig.client.status(),
        ({ care, scrub }) => (care === undefined ? looks : looks.add(care.at)).size > 2 || scrub !== undefined,
      );
      expect(scrub).toBeUndefined();
      breakSeal(rig);
      const end = await eventually(
        () => rig.client.status().catch((error) => error),
        (answer) => answer.code === "journal-damaged" || answer.scrub !== undefined,
      );
      expect(end).toMatchObject({ code: "journal-damaged", message: /the seal is not what was written/ });
    }));

  test("by one timer: journal, versions, layers; status and metrics tell, and damage ends all it does", () =>
    withRig(async (rig) => {
      await rig.start({ options: ["--care", "1s", "--scrub", "2s", "--keep", "1"] });
      for (const version of ["1.0.0", "1.1.0", "1.2.0"]) {
        await rig.publish({ version });
        await rig.operate("stage");
        const [slot] = (await rig.client.app("shop")).slots;
        if (version === "1.0.0") await rig.client.pin("shop", slot?.image ?? "", "a test");
        expect((await rig.operate("activate")).state).toBe("done");
      }
      expect((await rig.client.app("shop")).slots.length).toBe(3);
      const [, , pinned] = (await rig.client.app("shop")).slots;
      await rig.client.pin("shop", pinned?.image ?? "", undefined);
      const looked = await eventually(
        () => rig.client.status(),
        ({ apps, care, scrub }) => apps[0]?.slots.length === 2 && care !== undefined && scrub?.layers === 3,
      );
      expect(looked).toMatchObject({ care: { problems: [] }, scrub: { damaged: [] } });
      const [last] = await eventually(
        async () => (await rig.client.changes({ app: "shop", limit: 1 })).changes,
        ([newest]) => newest?.finished !== undefined,
      );
      expect(last).toMatchObject({ kind: "prune", by: "hostd", state: "done" });
      const metrics = await rig.client.metrics();
      expect(metrics).toMatch(/^hostd_care_time_seconds\{what="journal"\} \d+/m);
      expect(metrics).toMatch(/^hostd_care_time_seconds\{what="layers"\} \d+/m);
      expect(metrics).toMatch(/^hostd_damaged_layers 0$/m);

      await eventually(
        async () => existsSync(join(rig.state, "hostd.db.copy")),
        (isThere) => isThere,
      );
      await rig.stop();
      await rig.start({ options: ["--care", "1s"] });
      alter(rig);
      const refusal = await eventually(
        () => rig.client.status().catch((error) => error),
        (answer) => answer.code === "journal-damaged",
      );
      expect(refusal.message).toMatch(/a row is not what was written/);
      await expect(rig.client.begin("shop", "rollback", {})).rejects.toMatchObject({ code: "journal-damaged" });
      expect(await rig.get("/")).toBe("1.2.0");
      expect((await hostd(rig, "journal", "restore", "--accept-loss")).exitCode).toBe(0);
    }));
});
