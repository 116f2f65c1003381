import * as z from "zod";
import { operationDocumentSchema } from "../../manifests/node.ts";
import type { Engine } from "../engine.ts";
import { confirmUpgrade } from "../host/confirm.ts";
import type { OperationRow } from "../journal/operations.ts";
import { toOperationDocument } from "./documents.ts";
import { asked, channel, idParameter, image, integer, nothing, ofApp, printable } from "./parts.ts";
import { route } from "./route.ts";

const staging = z.strictObject({ ...asked, channel: channel.optional(), rate: z.string().max(20).optional() });
/** Of the host alone: a deadline for hostd confirm, in seconds, the reason to go against the policy, and whether it reboots anyway. */
const upgrading = {
  confirmWithin: integer(1, 86_400).optional(),
  breakGlass: printable(500).optional(),
  reboot: z.boolean().optional(),
};
const begun = (engine: Engine, operation: OperationRow) => toOperationDocument(engine, operation);
const starts = { method: "POST", status: 202, answer: operationDocumentSchema } as const;

/** Operations: begun here, they go on by themselves, whoever asked may go away. */
export const CHANGE_ROUTES = [
  route({
    ...starts,
    ...ofApp,
    path: "/v1/apps/{app}/stage",
    summary: "Bring the channel's release onto this node, or a version that ran here again; changes nothing that runs",
    body: staging.extend({ image: image.optional() }),
    run: ({ engine, parameters, body }) => begun(engine, engine.submit.stage({ ...parameters, ...body })),
  }),
  route({
    ...starts,
    ...ofApp,
    path: "/v1/apps/{app}/activate",
    summary: "Switch to a staged version, judge it, commit it or take it back",
    body: z.strictObject({ ...asked, ...upgrading, image: image.optional() }),
    run: ({ engine, parameters, body }) => begun(engine, engine.submit.activate({ ...parameters, ...body })),
  }),
  route({
    ...starts,
    ...ofApp,
    path: "/v1/apps/{app}/deploy",
    summary: "Stage, then activate",
    body: staging.extend(upgrading),
    run: ({ engine, parameters, body }) => begun(engine, engine.submit.deploy({ ...parameters, ...body })),
  }),
  route({
    ...starts,
    ...ofApp,
    path: "/v1/apps/{app}/run",
    summary: "Run a job once more, to its end",
    body: z.strictObject(asked),
    run: ({ engine, parameters, body }) => begun(engine, engine.submit.run({ ...parameters, ...body })),
  }),
  route({
    ...starts,
    ...ofApp,
    path: "/v1/apps/{app}/restart",
    summary: "Stop what runs and start it again; what does not come back is stopped and held",
    body: z.strictObject(asked),
    run: ({ engine, parameters, body }) => begun(engine, engine.submit.restart({ ...parameters, ...body })),
  }),
  route({
    ...starts,
    ...ofApp,
    path: "/v1/apps/{app}/stop",
    summary: "Stop an app and keep it stopped, also over a reboot; its data, versions and sockets are kept",
    body: z.strictObject({ ...asked, reason: printable(500).optional() }),
    run({ engine, parameters: { app }, body: { reason, ...who } }) {
      const cause = `by ${who.by}${reason === undefined ? "" : `: ${reason}`}`;
      return begun(engine, engine.submit.halt({ app, ...who, cause }));
    },
  }),
  route({
    ...starts,
    ...ofApp,
    path: "/v1/apps/{app}/start",
    summary: "Start what is kept stopped, as it is; what does not come up is stopped again",
    body: z.strictObject(asked),
    run: ({ engine, parameters, body }) => begun(engine, engine.submit.start({ ...parameters, ...body })),
  }),
  route({
    ...starts,
    ...ofApp,
    path: "/v1/apps/{app}/remove",
    summary: "Take an app off the node: its processes, sockets and versions, with `data` its data and snapshots too",
    body: z.strictObject({ ...asked, data: z.boolean().optional() }),
    run: ({ engine, parameters, body }) => begun(engine, engine.submit.remove({ ...parameters, ...body })),
  }),
  route({
    ...starts,
    ...ofApp,
    path: "/v1/apps/{app}/rollback",
    summary: "Go back to a version on this node: binaries alone, unless data or config are asked for too",
    body: z.strictObject({
      ...asked,
      ...upgrading,
      to: z
        .string()
        .regex(/^(?:current|\d{1,9}|(?:sha256:)?[0-9a-f]{6,64})$/, "expected a generation number, a digest, or current")
        .optional(),
      withData: z.string().min(1).max(128).optional(),
      withConfig: z.union([z.boolean(), z.int().positive()]).optional(),
    }),
    run: ({ engine, parameters, body }) => begun(engine, engine.submit.rollback({ ...parameters, ...body })),
  }),
  route({
    ...starts,
    ...ofApp,
    path: "/v1/apps/{app}/configure",
    summary: "Switch to the config that the layers and secrets say, of now or of a revision; image and data stay",
    body: z.strictObject({ ...asked, revision: z.int().nonnegative().optional() }),
    run: ({ engine, parameters, body }) => begun(engine, engine.submit.configure({ ...parameters, ...body })),
  }),
  route({
    ...starts,
    ...ofApp,
    path: "/v1/apps/{app}/snapshot",
    summary: "Snapshot the data of an app: quiet by its own hook, or stopped for the moment",
    body: z.strictObject({ ...asked, ttl: z.string().max(20).optional() }),
    run: ({ engine, parameters, body }) => begun(engine, engine.submit.snapshot({ ...parameters, ...body })),
  }),
  route({
    method: "POST",
    status: 200,
    path: "/v1/host/confirm",
    summary: "Confirm the host's upgrade from its new system: whoever asks got here over a new connection",
    parameters: nothing,
    query: nothing,
    body: z.strictObject({ by: asked.by }),
    answer: operationDocumentSchema,
    run: ({ engine, body: { by } }) => begun(engine, confirmUpgrade(engine, by)),
  }),
  route({
    ...starts,
    ...ofApp,
    path: "/v1/apps/{app}/forget",
    summary: "Delete snapshots; a protected one only with `force`",
    body: z.strictObject({
      ...asked,
      snapshots: z.array(z.string().min(1).max(128)).min(1).max(100),
      force: z.boolean().default(false),
    }),
    run: ({ engine, parameters, body }) => begun(engine, engine.submit.forget({ ...parameters, ...body })),
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
      return toOperationDocument(engine, engine.journal.operations.require(id));
    },
  }),
];
