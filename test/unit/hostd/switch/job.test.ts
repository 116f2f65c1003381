import { expect, test, vi } from "vitest";
import type { Engine } from "../../../../hostd/engine.ts";
import { type Journal, openJournal } from "../../../../hostd/journal/journal.ts";
import { healthOfJob, lastRunOf } from "../../../../hostd/switch/job.ts";
import { APP_LABEL } from "../../../../manifests/app.ts";
import type { Digest } from "../../../../manifests/digest.ts";
import type { OperationKind } from "../../../../manifests/node.ts";

const image: Digest = `sha256:${"a".repeat(64)}`;
const AT = "2026-11-21T08:00:00.000Z";
const manifest = JSON.stringify({
  schemaVersion: 2,
  config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: image, size: 1 },
  layers: [],
});

/** A node with one staged version of `shop`, which declares this besides its name. */
function staged(declares: object): { journal: Journal; engine: Engine } {
  const journal = openJournal(":memory:", () => new Date(AT));
  const app = JSON.stringify({ schema: 1, name: "shop", ...declares });
  const config = JSON.stringify({
    architecture: "amd64",
    os: "linux",
    config: { Labels: { [APP_LABEL]: app } },
    rootfs: { type: "layers", diff_ids: [] },
  });
  const operation = began(journal, "stage", {});
  const about = { sequence: 1, version: "1.0.0", channel: "production", declared: {} };
  journal.slots.stage(operation, { app: "shop", image, ...about, manifest, config });
  journal.operations.finish(operation);
  return { journal, engine: { journal } as Engine };
}

function began(journal: Journal, kind: OperationKind, plan: object): number {
  return journal.operations.begin({ requestId: crypto.randomUUID(), kind, app: "shop", caller: "test", plan }).id;
}

function ran(journal: Journal, kind: OperationKind, plan: object): number {
  const operation = began(journal, kind, plan);
  journal.operations.finish(operation);
  return operation;
}

const RUN = {
  switch: { image, version: "1.0.0", config: 1, to: 1, kept: "kept-g1" },
  run: { started: AT, ended: AT, exitCode: 0 },
};

test("the last run of a job is found behind what was done since", () => {
  const { journal, engine } = staged({ job: { timeout: 1_000 } });
  expect(lastRunOf(engine, "shop")).toBeUndefined();
  const operation = ran(journal, "run", RUN);
  for (let time = 0; time < 200; time++) ran(journal, "prune", {});
  ran(journal, "activate", {});
  expect(lastRunOf(engine, "shop")).toMatchObject({ operation, generation: 1, exitCode: 0 });
});

test("a job is as well as the last of its runs that ended, whatever runs now", () => {
  const { journal, engine } = staged({ job: { timeout: 1_000 } });
  expect(healthOfJob(engine, "shop")).toBe("healthy");
  const failed = began(journal, "run", RUN);
  const reason = { outcome: "failed", code: "job-failed", message: "exit code 3" } as const;
  journal.operations.fail(failed, { reason, reverted: true });
  began(journal, "run", RUN);
  expect(healthOfJob(engine, "shop")).toBe("unhealthy");
});

test("where no version here is a job, the history is not searched for runs", () => {
  const { journal, engine } = staged({});
  const search = vi.spyOn(journal.tally, "lastRun");
  expect(lastRunOf(engine, "shop")).toBeUndefined();
  expect(search).not.toHaveBeenCalled();
});

test("no more than the newest plans are searched", () => {
  const { journal, engine } = staged({ job: { timeout: 1_000 } });
  ran(journal, "run", RUN);
  for (let time = 0; time < 200; time++) ran(journal, "activate", {});
  expect(lastRunOf(engine, "shop")).toBeUndefined();
});
