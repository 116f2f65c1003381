import * as z from "zod";
import { appSchema } from "../../manifests/app.ts";
import { appConfigSchema, configDiffSchema, configHistorySchema, nodeConfigSchema } from "../../manifests/config.ts";
import { checkLayer } from "../config/layers.ts";
import { showApp, showDiff, showNode } from "../config/show.ts";
import { NAME, NAME_RULE } from "../config/tree.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import { findSlot, noSuchImage } from "../operations/submit.ts";
import { asked, empty, image, integer, nothing, ofApp, printable } from "./parts.ts";
import { route } from "./route.ts";

/** Characters of a secret at most: a key file fits. */
const SECRET_LIMIT = 32_768;

const reads = { method: "GET", status: 200 } as const;
const sets = { method: "POST", status: 200, parameters: nothing, query: nothing, answer: nodeConfigSchema } as const;

const secretSubject = z
  .string()
  .max(192)
  .refine(
    (text) => {
      const [name = "", app, ...rest] = text.split("/").reverse();
      return NAME.test(name) && rest.length === 0 && (app === undefined || appSchema.shape.name.safeParse(app).success);
    },
    { error: `expected NAME or APP/NAME, a name that ${NAME_RULE}` },
  );

/** Layers, secrets, and what they come to. What is set here changes nothing that runs: a switch does. */
export const CONFIG_ROUTES = [
  route({
    ...reads,
    ...empty,
    path: "/v1/config",
    summary: "The node's layers and secrets by name, and which apps run with something else than they say",
    answer: nodeConfigSchema,
    run: ({ engine }) => showNode(engine),
  }),
  route({
    ...reads,
    path: "/v1/config/history",
    summary: "Every change of a layer or a secret, newest first",
    parameters: nothing,
    query: z.strictObject({
      subject: printable(192).optional(),
      limit: integer(1, 1_000).default(50),
    }),
    body: nothing,
    answer: configHistorySchema,
    run: ({ engine, query }) => ({
      schema: 1,
      changes: engine.journal.config.list(query).map(({ caller: by, ...change }) => ({ ...change, by })),
    }),
  }),
  route({
    ...sets,
    path: "/v1/config/layers",
    summary: "Set a layer to a YAML or JSON document; the same document again changes nothing",
    body: z.strictObject({ by: asked.by, layer: z.string().max(100), file: printable(256), text: z.string() }),
    async run({ engine, body: { by, layer, file, text } }) {
      checkLayer(layer);
      const { readLayer } = await import("../config/read.ts"); // the YAML parser stays out of an idle daemon
      engine.journal.config.setLayer({ layer, file, text, tree: readLayer(file, text), by });
      return showNode(engine);
    },
  }),
  route({
    ...sets,
    path: "/v1/secrets",
    summary: "Set a secret; it is sealed on the disk and never told again",
    body: z.strictObject({
      by: asked.by,
      name: secretSubject,
      value: z
        .string()
        .min(1)
        .max(SECRET_LIMIT, { error: `expected a secret of at most ${SECRET_LIMIT} characters` })
        .refine((text) => !text.includes("\0"), { error: "expected text without NUL" }),
    }),
    async run({ engine, body: { by, name: subject, value } }) {
      await engine.vault.put(subject, value, (digest) => engine.journal.config.setSecret({ subject, digest, by }));
      return showNode(engine);
    },
  }),
  route({
    ...sets,
    path: "/v1/secrets/forget",
    summary: "Forget a secret; versions on this node that were made while it was set keep it until they are collected",
    body: z.strictObject({ by: asked.by, name: secretSubject }),
    run({ engine, body: { by, name: subject } }) {
      requireSecret(engine, subject);
      engine.journal.config.setSecret({ subject, digest: undefined, by });
      return showNode(engine);
    },
  }),
  route({
    ...reads,
    ...ofApp,
    path: "/v1/apps/{app}/config",
    summary: "Every value that holds for an app, with the layer, file and line it comes from",
    body: nothing,
    answer: appConfigSchema,
    run: ({ engine, parameters: { app } }) => showApp(engine, engine.journal.apps.require(app).app),
  }),
  route({
    ...reads,
    ...ofApp,
    path: "/v1/apps/{app}/config/diff",
    summary: "What a switch would change in an app's files: of config alone or, with `image`, to a staged version",
    query: z.strictObject({ image: image.optional() }),
    body: nothing,
    answer: configDiffSchema,
    run({ engine, parameters: { app }, query }) {
      if (query.image === undefined) return showDiff(engine, engine.journal.apps.require(app).app, undefined);
      const slot = findSlot(engine.journal.slots.list(app), query.image);
      if (slot !== undefined) return showDiff(engine, app, slot);
      throw noSuchImage(app, query.image);
    },
  }),
];

function requireSecret({ journal }: Engine, subject: string): void {
  const known = journal.config.allSecrets(journal.config.head()).map((mark) => mark.subject);
  if (known.includes(subject)) return;
  throw new HostdError("unknown-secret", `no secret ${subject} on this node`, {
    hint: known.length === 0 ? "hostd secret set NAME sets one" : `it has ${known.join(", ")}`,
  });
}
