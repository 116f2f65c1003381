import { expect, test } from "vitest";
import { toFamilies } from "../../../../hostd/metrics/families.ts";
import type { CollectDocument } from "../../../../manifests/collect.ts";

const at = "2026-11-28T03:00:00.000Z";
const run = { operation: 7, generation: 2, version: "1.0.0", started: at, ended: at, exitCode: 0 };

const app: CollectDocument["apps"][number] = {
  app: "backup",
  health: "healthy",
  checks: [],
  hostChecks: [],
  limits: [],
  slots: [],
  snapshots: [],
  operations: [],
  underWay: [],
  restarts: 0,
};

const node: CollectDocument = {
  schema: 1,
  at,
  machine: {
    hostname: "node-1",
    kernel: "6.1.0",
    arch: "x64",
    uptime: 1,
    load: [0, 0, 0],
    memory: { total: 1, free: 1 },
    disk: { path: "/var/lib/hostd", total: 1, free: 1 },
  },
  hostd: {
    ...{ version: "1.0.0", pid: 7, started: at, state: "/var/lib/hostd", repository: "/repository" },
    ...{ memory: 1, cpu: 1, uptime: 1 },
  },
  verity: "every-read",
  data: { driver: "copy" },
  health: "green",
  apps: [app],
  quarantine: [],
  problems: [],
};

function jobSuccess(lastRun: typeof app.lastRun): (number | undefined)[] {
  const families = toFamilies({ ...node, apps: [{ ...app, lastRun }] }, []);
  return families
    .filter(({ name }) => name === "hostd_job_success")
    .flatMap(({ samples }) => samples.map(({ value }) => value));
}

test("a run that hostd ended is no success, whatever its job exits with", () => {
  expect(jobSuccess({ ...run, state: "done" })).toEqual([1]);
  expect(jobSuccess({ ...run, state: "failed", timedOut: true })).toEqual([0]);
  expect(jobSuccess({ ...run, state: "running" })).toEqual([]);
});
