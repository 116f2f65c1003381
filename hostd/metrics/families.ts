import { unrepaired } from "../../manifests/care.ts";
import type { CollectDocument } from "../../manifests/collect.ts";
import { HEALTH_VERDICTS, type OperationState, SLOT_STATES } from "../../manifests/node.ts";
import type { OutcomeCount } from "../journal/tally.ts";
import type { Family, Sample } from "./text.ts";

type AppOf = CollectDocument["apps"][number];

/** The node as metrics. A name is never given another meaning; labels are few, and none grows with time. */
export function toFamilies(node: CollectDocument, outcomes: readonly OutcomeCount[]): Family[] {
  return [...ofHostd(node), ...ofCare(node), ...ofApps(node.apps), ...ofOperations(node, outcomes)];
}

function ofHostd({ hostd, machine, health, quarantine, data }: CollectDocument): Family[] {
  return [
    gauge("hostd_info", "Which hostd this is", [{ labels: { version: hostd.version }, value: 1 }]),
    gauge("process_resident_memory_bytes", "Memory of hostd itself", [{ value: hostd.memory }]),
    counter("process_cpu_seconds_total", "Processor time of hostd itself", [{ value: hostd.cpu }]),
    gauge("process_start_time_seconds", "When hostd started, Unix time", [
      { value: Date.parse(hostd.started) / 1_000 },
    ]),
    gauge("hostd_state_free_bytes", "Room left on the file system of the state", [{ value: machine.disk.free }]),
    gauge("hostd_state_size_bytes", "Size of the file system of the state", [{ value: machine.disk.total }]),
    ...ofPool(data.pool),
    gauge("hostd_health", "1 for the node's verdict", oneOf("verdict", HEALTH_VERDICTS, health)),
    gauge("hostd_quarantined_images", "Images that may not run", [{ value: quarantine.length }]),
  ];
}

/** What was never looked after has no sample; journal and snapshots have one a minute after hostd's start. An alarm asks for the age. */
function ofCare({ care, scrub }: CollectDocument): Family[] {
  const looks = [
    ...(care?.journal.verified === undefined
      ? []
      : [{ labels: { what: "journal" }, value: Date.parse(care.journal.verified) / 1_000 }]),
    ...(scrub === undefined ? [] : [{ labels: { what: "layers" }, value: Date.parse(scrub.at) / 1_000 }]),
  ];
  return [
    gauge("hostd_care_time_seconds", "When the journal, and every layer, was last verified, Unix time", looks),
    gauge(
      "hostd_care_problems",
      "What the last look at journal, versions and snapshots could not do",
      care === undefined ? [] : [{ value: care.problems.length }],
    ),
    gauge(
      "hostd_damaged_layers",
      "Layers that are not what was signed and were not repaired",
      scrub === undefined ? [] : [{ value: unrepaired(scrub).length }],
    ),
  ];
}

function ofPool(pool: CollectDocument["data"]["pool"]): Family[] {
  if (pool === undefined) return [];
  const labels = { pool: pool.name };
  return [
    gauge("hostd_data_pool_used", "Part of the thin pool's data that is used", [{ labels, value: pool.data }]),
    gauge("hostd_data_pool_metadata_used", "Part of its metadata that is used", [{ labels, value: pool.metadata }]),
  ];
}

function ofApps(apps: readonly AppOf[]): Family[] {
  const each = (value: (app: AppOf) => number | undefined): Sample[] =>
    apps.flatMap((app) => {
      const found = value(app);
      return found === undefined ? [] : [{ labels: { app: app.app }, value: found }];
    });
  return [
    gauge("hostd_app_info", "What an app runs", apps.flatMap(infoOf)),
    gauge(
      "hostd_app_generation",
      "Number of the current generation",
      each(({ current }) => current?.number),
    ),
    gauge(
      "hostd_app_healthy",
      "1 while all checks are good; absent where nothing runs",
      each(({ current, health }) => (current === undefined ? undefined : Number(health === "healthy"))),
    ),
    gauge(
      "hostd_app_held",
      "1 while hostd keeps it stopped",
      each(({ hold }) => (hold === undefined ? 0 : 1)),
    ),
    gauge(
      "hostd_app_hindered",
      "1 while the node keeps it from being started again",
      each(({ hindered }) => (hindered === undefined ? 0 : 1)),
    ),
    gauge(
      "hostd_app_updates_held",
      "1 while it stays at its version because somebody said so",
      each(({ updatesHeld }) => (updatesHeld === undefined ? 0 : 1)),
    ),
    gauge(
      "hostd_app_start_time_seconds",
      "When its process started, Unix time",
      each(({ process }) => (process === undefined ? undefined : Date.parse(process.started) / 1_000)),
    ),
    counter(
      "hostd_app_restarts_total",
      "Restarts: of a sick app by hostd, and those asked for",
      each(({ restarts }) => restarts),
    ),
    gauge(
      "hostd_job_success",
      "1 where the last run of a job was good, 0 where its operation failed; absent while it is under way",
      each(({ lastRun }) =>
        lastRun === undefined || isOpen(lastRun.state) ? undefined : Number(lastRun.state === "done"),
      ),
    ),
    gauge(
      "hostd_job_end_time_seconds",
      "When the last run of a job ended, Unix time",
      each(({ lastRun }) => (lastRun?.ended === undefined ? undefined : Date.parse(lastRun.ended) / 1_000)),
    ),
    gauge(
      "hostd_app_config_revision",
      "Revision of the node's layers and secrets that it runs with",
      each(({ config }) => config?.applied),
    ),
    gauge(
      "hostd_app_config_drift",
      "Files that would be others, were the declared config applied",
      each(({ config }) => config?.drift.length),
    ),
    gauge(
      "hostd_app_snapshots",
      "Data snapshots kept",
      each(({ snapshots }) => snapshots.length),
    ),
    gauge("hostd_app_slots", "Versions on the disk", apps.flatMap(slotsOf)),
    gauge(
      "hostd_app_stage_seconds",
      "Duration of its last completed staging",
      each((app) => app.stageSeconds),
    ),
    gauge(
      "hostd_check_good",
      "1 where a check's last answer was good",
      apps.flatMap((app) => checksOf(app, ({ ok }) => Number(ok))),
    ),
    gauge(
      "hostd_check_seconds",
      "How long a check's last answer took",
      apps.flatMap((app) => checksOf(app, ({ took }) => took / 1_000)),
    ),
  ];
}

function ofOperations({ apps }: CollectDocument, outcomes: readonly OutcomeCount[]): Family[] {
  const ended = outcomes.filter(({ state }) => state === "done" || state === "failed");
  return [
    counter(
      "hostd_operations_total",
      "Operations that ended, by how they did",
      ended.map(({ app, kind, state, reverted, count }) => ({
        labels: { app, kind, outcome: reverted ? "reverted" : state },
        value: count,
      })),
    ),
    gauge("hostd_operations_pending", "Operations under way", [
      { value: apps.reduce((sum, { operations }) => sum + operations.length, 0) },
    ]),
    gauge(
      "hostd_update_success",
      "1 where the last activation, deployment, rollback or change of config was done, 0 where it failed",
      apps.flatMap(({ app, lastUpdate }) =>
        lastUpdate?.finished === undefined ? [] : [{ labels: { app }, value: lastUpdate.state === "done" ? 1 : 0 }],
      ),
    ),
  ];
}

function isOpen(state: OperationState): boolean {
  return state === "running" || state === "reverting";
}

function infoOf({ app, current }: AppOf): Sample[] {
  if (current === undefined) return [];
  const { version, image, config, data } = current;
  const labels = { app, version, image, config: String(config), data: data?.version ?? "" };
  return [{ labels, value: 1 }];
}

function slotsOf({ app, slots }: AppOf): Sample[] {
  return SLOT_STATES.map((state) => ({
    labels: { app, state },
    value: slots.filter((slot) => slot.state === state).length,
  }));
}

function checksOf(
  { app, checks, hostChecks }: AppOf,
  value: (answer: { ok: boolean; took: number }) => number,
): Sample[] {
  const own = checks.map(({ check, ok, took }) => ({ check, ok, took }));
  const host = hostChecks
    .filter(({ outcome }) => outcome !== "skipped")
    .map(({ check, outcome, took }) => ({ check, ok: outcome === "ok", took }));
  return [...own, ...host].map((answer) => ({ labels: { app, check: answer.check }, value: value(answer) }));
}

function oneOf(label: string, all: readonly string[], now: string): Sample[] {
  return all.map((value) => ({ labels: { [label]: value }, value: value === now ? 1 : 0 }));
}

function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, help, type: "gauge", samples };
}

function counter(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, help, type: "counter", samples };
}
