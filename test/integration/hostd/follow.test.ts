import { expect, test } from "vitest";
import { eventually, type Rig, withRig } from "../../hostd/rig.ts";
import { describeWith } from "../../needs.ts";

const NEEDS = { root: true, programs: ["bwrap", "perl", "losetup"] };

describeWith(NEEDS, "a node that follows a channel", () => {
  test("stages what is promoted, and leaves the switch to somebody", () =>
    withRig(async (rig) => {
      await deployFirst(rig);
      await follow(rig, "stage");
      expect((await rig.client.status()).follows).toEqual({ channel: "production", how: "stage" });
      await rig.publish({ version: "1.1.0" });
      await eventually(
        () => stateOf(rig, "1.1.0"),
        (state) => state === "staged",
      );
      await looks(rig, 2);
      expect(await running(rig)).toBe("1.0.0");
      expect(await kindsBy(rig)).toEqual(["stage"]);
    }));

  test("switches to it where it is to, once: neither again to one that was gone back from, nor to one that failed", () =>
    withRig(async (rig) => {
      await deployFirst(rig);
      await follow(rig, "activate");
      await rig.publish({ version: "1.1.0", stable: 100 });
      await eventually(
        () => running(rig),
        (version) => version === "1.1.0",
      );
      expect((await rig.operate("rollback")).state).toBe("done");
      await looks(rig, 2);
      expect(await running(rig)).toBe("1.0.0");

      await rig.publish({ version: "1.2.0", how: "sick" });
      await eventually(
        () => stateOf(rig, "1.2.0"),
        (state) => state === "failed",
      );
      await eventually(
        () => running(rig),
        (version) => version === "1.0.0",
      );
      await looks(rig, 2);
      expect(await kindsBy(rig)).toEqual(["deploy", "deploy"]);
      expect((await rig.client.status()).quarantine).toHaveLength(2);
    }));

  test("switches to what was staged before once its time has come, and says what keeps it from the channel", () =>
    withRig(async (rig) => {
      await deployFirst(rig);
      await follow(rig, "activate", "--between", hoursFromNow(2, 4));
      await rig.publish({ version: "1.1.0", stable: 100 });
      await eventually(
        () => stateOf(rig, "1.1.0"),
        (state) => state === "staged",
      );
      await looks(rig, 2);
      expect(await running(rig)).toBe("1.0.0");
      await rig.stop();
      await follow(rig, "activate", "--between", hoursFromNow(-2, 2));
      await eventually(
        () => running(rig),
        (version) => version === "1.1.0",
      );
      expect(await kindsBy(rig)).toEqual(["activate", "stage"]);

      await rig.stop();
      await rig.start({ repository: "http://127.0.0.1:9", options: ["--care", "1s", "--follow", "stage"] });
      const told = await eventually(
        async () => (await rig.client.status()).care?.problems ?? [],
        (problems) => problems.length > 0,
      );
      expect(told.join()).toMatch(/^channel not followed for shop: http:\/\/127\.0\.0\.1:9/);
      expect(await running(rig)).toBe("1.1.0");
    }));

  test.each([
    [["--follow", "maybe"], "--follow: expected stage, activate or no, got maybe"],
    [["--follow", "activate", "--between", "2-5"], "--between: expected two times of day such as 02:00-05:00, got 2-5"],
    [["--between", "02:00-05:00"], "--between: expected --follow activate beside it, got --follow no"],
    [["--follow", "activate", "--between", "02:00-02:30"], "--between: expected a time as long as --care"],
  ])("%j is refused", (options, message) =>
    withRig(async (rig) => {
      await expect(rig.start({ options })).rejects.toThrow(message);
    }),
  );
});

async function deployFirst(rig: Rig): Promise<void> {
  await rig.start();
  await rig.publish({ version: "1.0.0", stable: 100 });
  expect((await rig.operate("deploy")).state).toBe("done");
  await rig.stop();
}

function follow(rig: Rig, how: string, ...more: string[]): Promise<void> {
  return rig.start({ options: ["--care", "1s", "--follow", how, ...more] });
}

/** Waits for this many looks from now on. */
async function looks(rig: Rig, count: number): Promise<void> {
  for (let seen = 0; seen < count; seen++) {
    const before = (await rig.client.status()).care?.at;
    await eventually(
      async () => (await rig.client.status()).care?.at,
      (at) => at !== before,
    );
  }
}

/** Undefined while an operation is under way. */
async function running(rig: Rig): Promise<string | undefined> {
  const { current, operations } = await rig.client.app("shop");
  return operations.length > 0 ? undefined : current?.version;
}

async function stateOf(rig: Rig, version: string): Promise<string | undefined> {
  return (await rig.client.app("shop")).slots.find((slot) => slot.version === version)?.state;
}

/** What the node began by itself besides making room, newest first. */
async function kindsBy(rig: Rig): Promise<string[]> {
  const { changes } = await rig.client.changes({ app: "shop" });
  return changes.filter(({ by, kind }) => by === "hostd" && kind !== "prune").map(({ kind }) => kind);
}

/** From so many whole hours away from now to so many, in this machine's time. */
function hoursFromNow(from: number, to: number): string {
  const hour = (away: number) => `${String((new Date().getHours() + away + 24) % 24).padStart(2, "0")}:00`;
  return `${hour(from)}-${hour(to)}`;
}
