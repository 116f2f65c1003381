import * as z from "zod";
import {
  careDocumentSchema,
  pruneDocumentSchema,
  snapshotCheckSchema,
  snapshotsDocumentSchema,
} from "../../manifests/care.ts";
import { operationDocumentSchema } from "../../manifests/node.ts";
import { verifySnapshot } from "../data/verify.ts";
import { planPrune } from "../retention/prune.ts";
import { toOperationDocument, toSnapshots } from "./documents.ts";
import { asked, integer, nothing, ofApp } from "./parts.ts";
import { route } from "./route.ts";

const keep = integer(1, 1_000);

/** Looking after what is on the disk. */
export const CARE_ROUTES = [
  route({
    method: "POST",
    status: 200,
    path: "/v1/fsck",
    summary: "Verify every layer against the journal; with `repair`, fetch again only what is bad",
    parameters: nothing,
    query: nothing,
    body: z.strictObject({ by: asked.by, repair: z.boolean().default(false) }),
    answer: careDocumentSchema,
    run: ({ engine, body: { repair } }) => engine.care.check({ repair }),
  }),
  route({
    method: "GET",
    status: 200,
    path: "/v1/prune",
    summary: "What pruning would collect, without doing it",
    parameters: nothing,
    query: z.strictObject({ keep: keep.optional() }),
    body: nothing,
    answer: pruneDocumentSchema,
    run: ({ engine, query }) => planPrune(engine, query.keep ?? engine.settings.keep),
  }),
  route({
    ...ofApp,
    method: "GET",
    status: 200,
    path: "/v1/apps/{app}/snapshots",
    summary: "Snapshots of an app, newest first, with what they take and why one is kept",
    body: nothing,
    answer: snapshotsDocumentSchema,
    run: ({ engine, parameters: { app } }) => toSnapshots(engine, app),
  }),
  route({
    method: "POST",
    status: 200,
    path: "/v1/apps/{app}/snapshots/{id}/verify",
    summary: "Read a snapshot whole and compare it with what was recorded of it",
    parameters: z.strictObject({ app: ofApp.parameters.shape.app, id: z.string().min(1).max(128) }),
    query: nothing,
    body: z.strictObject({ by: asked.by }),
    answer: snapshotCheckSchema,
    run: ({ engine, parameters: { app, id } }) => verifySnapshot(engine, app, id),
  }),
  route({
    ...ofApp,
    method: "POST",
    status: 202,
    path: "/v1/apps/{app}/prune",
    summary: "Collect versions beyond the newest `keep`, never a protected one, and the layers that nobody needs then",
    body: z.strictObject({ ...asked, keep: keep.optional() }),
    answer: operationDocumentSchema,
    run: ({ engine, parameters, body }) => toOperationDocument(engine, engine.submit.prune({ ...parameters, ...body })),
  }),
];
