import { readFile } from "node:fs/promises";
import * as z from "zod";
import { unlessMissing } from "../../effects/errno.ts";
import { appSchema } from "../../manifests/app.ts";
import {
  appStatusSchema,
  changesDocumentSchema,
  eventsDocumentSchema,
  healthDocumentSchema,
  operationDocumentSchema,
  statusDocumentSchema,
} from "../../manifests/node.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import type { OperationRow } from "../journal/operations.ts";
import { findSlot } from "../operations/submit.ts";
import { bundlePath } from "../rollback/bundle.ts";
import { toAppStatus, toOperationDocument, toStatus } from "./documents.ts";
import { route } from "./route.ts";

/** Longest that a caller may wait in one request for an operation to move, milliseconds. */
export const LONGEST_WAIT = 60_000;

const nothing = z.strictObject({});
const appParameter = z.strictObject({ app: appSchema.shape.name });
const idParameter = z.strictObject({ id: z.coerce.number().int().positive() });
const image = z.string().regex(/^(?:sha256:)?[0-9a-f]{6,64}$/, "expected a digest, or at least 6 hex digits of one");
const channel = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "expected lower-case letters, digits and -");
const limit = z.coerce.number().int().min(1).max(1_000).default(50);
const asked = {
  by: z.string().min(1).max(128).default("api"),
  /** A repeat under the same id begins nothing and gets the first answer. */
  requestId: z
    .string()
    .regex(/^[\w.:-]{1,128}$/)
    .optional(),
};
const staging = z.strictObject({ ...asked, channel: channel.optional() });
const begun = (engine: Engine, operation: OperationRow) => toOperationDocument(engine, operation);
const empty = { parameters: nothing, query: nothing, body: nothing };
const ofApp = { parameters: appParameter, query: nothing };
const starts = { method: "POST", status: 202, answer: operationDocumentSchema } as const;
const reads = { method: "GET", status: 200 } as const;

/** The whole API of hostd. The server answers nothing that does not stand here. */
export const ROUTES = [
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
    summary: "The end of an app's log",
    body: nothing,
    query: z.strictObject({ generation: z.coerce.number().int().positive().optional() }),
    answer: z.object({ app: z.string(), log: z.string() }),
    async run({ engine, parameters: { app }, query }) {
      const generation = query.generation ?? engine.journal.apps.get(app)?.current;
      return { app, log: await engine.node.logs(app, generation) };
    },
  }),
  route({
    ...reads,
    path: "/v1/operations/{id}",
    summary: "One operation; with `wait`, answers when it moved on or after so many milliseconds",
    parameters: idParameter,
    query: z.strictObject({ wait: z.coerce.number().int().min(0).max(LONGEST_WAIT).default(0) }),
    body: nothing,
    answer: operationDocumentSchema,
    async run({ engine, parameters: { id }, query: { wait } }) {
      const now = toOperationDocument(engine, engine.journal.operations.get(id));
      if (wait === 0 || now.finished !== undefined) return now;
      await engine.board.waitForChange(id, wait);
      return toOperationDocument(engine, engine.journal.operations.get(id));
    },
  }),
  route({
    ...reads,
    path: "/v1/operations/{id}/failure",
    summary: "What was kept of a failed operation: log, check results, how its processes ended",
    parameters: idParameter,
    query: nothing,
    body: nothing,
    answer: z.record(z.string(), z.unknown()),
    async run({ engine, parameters: { id } }) {
      const kept = await unlessMissing(readFile(bundlePath(engine, id), "utf8"));
      if (kept !== undefined) return JSON.parse(kept);
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
    run: ({ engine, query }) => ({
      schema: 1,
      changes: engine.journal.operations.list(query).map((operation) => toOperationDocument(engine, operation)),
    }),
  }),
  route({
    ...reads,
    path: "/v1/events",
    summary: "The append-only, hash-chained event log, oldest first",
    parameters: nothing,
    query: z.strictObject({
      app: appSchema.shape.name.optional(),
      after: z.coerce.number().int().min(0).optional(),
      limit,
    }),
    body: nothing,
    answer: eventsDocumentSchema,
    run: ({ engine, query }) => ({ schema: 1, events: engine.journal.events.list(query) }),
  }),
  route({
    ...reads,
    ...empty,
    path: "/v1/health",
    summary: "Health of every app and the last result of every check",
    answer: healthDocumentSchema,
    async run({ engine }) {
      const { apps } = await toStatus(engine);
      const healthy = apps.every(({ current, health }) => current === undefined || health === "healthy");
      return { schema: 1, healthy, apps: apps.map(({ app, health, checks, hold }) => ({ app, health, checks, hold })) };
    },
  }),
  route({
    ...starts,
    ...ofApp,
    path: "/v1/apps/{app}/stage",
    summary: "Bring the channel's release onto this node; changes nothing that runs",
    body: staging,
    run: ({ engine, parameters, body }) => begun(engine, engine.submit.stage({ ...parameters, ...body })),
  }),
  route({
    ...starts,
    ...ofApp,
    path: "/v1/apps/{app}/activate",
    summary: "Switch to a staged version, judge it, commit it or take it back",
    body: z.strictObject({ ...asked, image: image.optional() }),
    run: ({ engine, parameters, body }) => begun(engine, engine.submit.activate({ ...parameters, ...body })),
  }),
  route({
    ...starts,
    ...ofApp,
    path: "/v1/apps/{app}/deploy",
    summary: "Stage, then activate",
    body: staging,
    run: ({ engine, parameters, body }) => begun(engine, engine.submit.deploy({ ...parameters, ...body })),
  }),
  route({
    ...starts,
    ...ofApp,
    path: "/v1/apps/{app}/rollback",
    summary: "Go back to a version on this node: binaries alone, unless data or config are asked for too",
    body: z.strictObject({
      ...asked,
      to: z
        .string()
        .regex(/^(?:\d{1,9}|(?:sha256:)?[0-9a-f]{6,64})$/, "expected a generation number or a digest")
        .optional(),
      withData: z.string().min(1).max(128).optional(),
      withConfig: z.boolean().optional(),
    }),
    run: ({ engine, parameters, body }) => begun(engine, engine.submit.rollback({ ...parameters, ...body })),
  }),
  route({
    ...starts,
    ...ofApp,
    path: "/v1/apps/{app}/snapshot",
    summary: "Stop the app for a moment and snapshot its data",
    body: z.strictObject(asked),
    run: ({ engine, parameters, body }) => begun(engine, engine.submit.snapshot({ ...parameters, ...body })),
  }),
  route({
    ...starts,
    path: "/v1/operations/{id}/abort",
    summary: "End an operation under way: what it did is undone",
    parameters: idParameter,
    query: nothing,
    body: z.strictObject({ by: asked.by }),
    run({ engine, parameters: { id }, body: { by } }) {
      engine.submit.abort(id, by);
      return toOperationDocument(engine, engine.journal.operations.get(id));
    },
  }),
  route({
    method: "POST",
    status: 200,
    ...ofApp,
    path: "/v1/apps/{app}/pin",
    summary: "Keep a version whatever retention says; without a reason the pin is taken off",
    body: z.strictObject({ image, reason: z.string().min(1).max(500).optional() }),
    answer: appStatusSchema,
    run({ engine, parameters: { app }, body }) {
      const slot = findSlot(engine.journal.slots.list(app), body.image);
      if (slot === undefined) throw new HostdError("not-staged", `${app} has no image ${body.image} on this node`);
      engine.journal.slots.pin(app, slot.image, body.reason);
      return toAppStatus(engine, app);
    },
  }),
  route({
    method: "POST",
    status: 200,
    path: "/v1/release",
    summary: "Lift the quarantine of an image: it may be tried again",
    parameters: nothing,
    query: nothing,
    body: z.strictObject({ by: asked.by, image }),
    answer: statusDocumentSchema,
    run({ engine, body }) {
      releaseImage(engine, body.image, body.by);
      return toStatus(engine);
    },
  }),
];

function releaseImage(engine: Engine, wanted: string, by: string): void {
  const { quarantine, slots, apps } = engine.journal;
  const hex = wanted.replace(/^sha256:/, "");
  const entries = quarantine.list().filter((entry) => entry.image.startsWith(`sha256:${hex}`));
  const failed = apps
    .list()
    .flatMap(({ app }) => slots.list(app))
    .filter((slot) => slot.state === "failed" && slot.image.startsWith(`sha256:${hex}`));
  const images = new Set([...entries, ...failed].map((entry) => entry.image));
  const [only] = images;
  if (only === undefined || images.size > 1) {
    const found = only === undefined ? "none" : `${images.size}`;
    throw new HostdError("unknown-image", `expected one quarantined image ${wanted}, found ${found}`, {
      hint: "hostd status lists what is quarantined",
    });
  }
  quarantine.release(only, by);
  for (const slot of failed) slots.release(slot.app, slot.image);
}
