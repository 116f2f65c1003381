import type { CollectDocument, LastUpdate } from "../../manifests/collect.ts";
import { toOperationDocument, toStatus } from "../api/documents.ts";
import type { Engine } from "../engine.ts";
import { verdictOf } from "../health/verdict.ts";
import { describeMachine } from "../system/machine.ts";

/** Everything a centre polls of a node, at one moment. */
export async function collect(engine: Engine): Promise<CollectDocument> {
  const { hostd, verity, data, apps, quarantine, problems, host, scrub, care } = await toStatus(engine);
  const { tally } = engine.journal;
  const { user, system } = process.cpuUsage();
  const restarts = tally.outcomes().filter(({ kind }) => kind === "restart");
  return {
    schema: 1,
    at: engine.clock.date().toISOString(),
    machine: await describeMachine(engine.stateDirectory),
    hostd: {
      ...hostd,
      memory: process.memoryUsage.rss(),
      cpu: (user + system) / 1e6,
      uptime: Math.round(process.uptime()),
    },
    verity,
    data,
    health: verdictOf({ apps, problems }),
    apps: apps.map((status) => {
      const { app } = status;
      const last = tally.lastUpdate(app);
      const stageSeconds = tally.stageSeconds(app);
      return {
        ...status,
        ...(last === undefined ? {} : { lastUpdate: toLastUpdate(engine, last) }),
        ...(stageSeconds === undefined ? {} : { stageSeconds }),
        restarts: restarts.filter((entry) => entry.app === app).reduce((sum, { count }) => sum + count, 0),
      };
    }),
    quarantine,
    problems,
    ...(host === undefined ? {} : { host }),
    ...(scrub === undefined ? {} : { scrub }),
    ...(care === undefined ? {} : { care }),
  };
}

function toLastUpdate(engine: Engine, id: number): LastUpdate {
  const { kind, state, by, version, reverted, reason, started, finished } = toOperationDocument(
    engine,
    engine.journal.operations.require(id),
  );
  return {
    operation: id,
    kind,
    state,
    by,
    ...(version === undefined ? {} : { version }),
    reverted,
    ...(reason === undefined ? {} : { reason: reason.message }),
    started,
    ...(finished === undefined ? {} : { finished }),
  };
}
