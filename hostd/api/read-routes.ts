import { readFile } from "node:fs/promises";
import * as z from "zod";
import { unlessMissing } from "../../effects/errno.ts";
import { appSchema } from "../../manifests/app.ts";
import { failureBundleSchema } from "../../manifests/bundle.ts";
import { eventsDocumentSchema } from "../../manifests/event.ts";
import {
  appStatusSchema,
  changesDocumentSchema,
  healthDocumentSchema,
  logDocumentSchema,
  operationDocumentSchema,
  statusDocumentSchema,
} from "../../manifests/node.ts";
import { VERSION } from "../../manifests/release.ts";
import { updateDocumentSchema } from "../../manifests/update.ts";
import { HostdError } from "../error.ts";
import { verdictOf } from "../health/verdict.ts";
import { bundlePath } from "../rollback/bundle.ts";
import { LONGEST_WAIT } from "./callers.ts";
import { toAppStatus, toOperationDocument, toStatus } from "./documents.ts";
import { readLogOf } from "./logs.ts";
import { channel, empty, idParameter, integer, nothing, ofApp } from "./parts.ts";
import { route } from "./route.ts";

const limit = integer(1, 1_000).default(50);
const reads = { method: "GET", status: 200 } as const;

/** Questions: they take no lock and answer during any operation. */
export const READ_ROUTES = [
  route({
    ...reads,
    ...empty,
    path: "/v1/status",
    summary: "What runs, what is staged, what is quarantined",
    answer: statusDocumentSchema,
    run: ({ engine }) => toStatus(engine),
  }),
  route({
    ...reads,
    ...ofApp,
    path: "/v1/apps/{app}",
    summary: "One app: target, current generation, health, slots, snapshots",
    body: nothing,
    answer: appStatusSchema,
    run: ({ engine, parameters }) => toAppStatus(engine, parameters.app),
  }),
  route({
    ...reads,
    ...ofApp,
    path: "/v1/apps/{app}/logs",
    summary: "The end of an app's log: of what runs, of a generation, or of the newest generation of a version",
    body: nothing,
    query: z.strictObject({
      generation: integer(1).optional(),
      slot: z.string().regex(VERSION, "expected a version or a digest").optional(),
    }),
    answer: logDocumentSchema,
    run: ({ engine, parameters: { app }, query }) => readLogOf(engine, app, query),
  }),
  route({
    ...reads,
    path: "/v1/operations/{id}",
    summary: "One operation; with `wait`, answers when it moved on or after so many milliseconds",
    parameters: idParameter,
    query: z.strictObject({ wait: integer(0, LONGEST_WAIT).default(0) }),
    body: nothing,
    answer: operationDocumentSchema,
    async run({ engine, parameters: { id }, query: { wait } }) {
      const now = toOperationDocument(engine, engine.journal.operations.require(id));
      if (wait === 0 || now.finished !== undefined) return now;
      await engine.board.waitForChange(id, wait);
      return toOperationDocument(engine, engine.journal.operations.require(id));
    },
  }),
  route({
    ...reads,
    path: "/v1/operations/{id}/failure",
    summary: "What was kept of a failed operation: log, check results, how its processes ended",
    parameters: idParameter,
    query: nothing,
    body: nothing,
    answer: failureBundleSchema,
    async run({ engine, parameters: { id } }) {
      const kept = await unlessMissing(readFile(bundlePath(engine, id), "utf8"));
      // It was written before the operation's own end: that is told as the journal has it now.
      const { operations, events } = engine.journal;
      const operation = toOperationDocument(engine, operations.require(id));
      if (kept !== undefined) return { ...JSON.parse(kept), operation, events: events.of(id) };
      throw new HostdError("unknown-operation", `nothing was kept of operation ${id}`, { hint: "hostd changes" });
    },
  }),
  route({
    ...reads,
    path: "/v1/changes",
    summary: "Operations, newest first: who, when, what, how it ended and why",
    parameters: nothing,
    query: z.strictObject({ app: appSchema.shape.name.optional(), limit }),
    body: nothing,
    answer: changesDocumentSchema,
    run({ engine, query }) {
      const operations = engine.journal.operations.list(query);
      // One that was never brought has no row of its own, and a history all the same.
      if (query.app !== undefined && operations.length === 0) engine.journal.apps.require(query.app);
      return { schema: 1, changes: operations.map((operation) => toOperationDocument(engine, operation)) };
    },
  }),
  route({
    ...reads,
    path: "/v1/events",
    summary:
      "The append-only, hash-chained event log, oldest first: with after the first from there on, else the newest",
    parameters: nothing,
    query: z.strictObject({
      app: appSchema.shape.name.optional(),
      after: integer(0).optional(),
      limit,
    }),
    body: nothing,
    answer: eventsDocumentSchema,
    run: ({ engine, query }) => ({ schema: 1, events: engine.journal.events.list(query) }),
  }),
  route({
    ...reads,
    ...ofApp,
    query: z.strictObject({ channel: channel.optional() }),
    body: nothing,
    path: "/v1/apps/{app}/check",
    summary: "What a channel has for an app, verified, and what this node would do with it; begins nothing",
    answer: updateDocumentSchema,
    async run({ engine, parameters: { app }, query }) {
      const { checkChannel } = await import("../stage/check.ts");
      return await checkChannel(engine, app, query.channel ?? engine.settings.channel);
    },
  }),
  route({
    ...reads,
    ...empty,
    path: "/v1/health",
    summary: "Health of the node and of every app, and the last result of every check",
    answer: healthDocumentSchema,
    async run({ engine }) {
      const { apps, problems } = await toStatus(engine);
      const verdict = verdictOf({ apps, problems });
      const shown = apps.map(({ app, health, checks, hostChecks, hold, hindered, lastRun }) => {
        return { app, health, checks, hostChecks, hold, hindered, lastRun };
      });
      return { schema: 1, healthy: verdict === "green", verdict, problems, apps: shown };
    },
  }),
];
