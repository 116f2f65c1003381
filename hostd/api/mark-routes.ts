import * as z from "zod";
import { appStatusSchema, statusDocumentSchema } from "../../manifests/node.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import { findSlot, noSuchImage } from "../operations/submit.ts";
import { toAppStatus, toStatus } from "./documents.ts";
import { asked, image, nothing, ofApp, printable } from "./parts.ts";
import { route } from "./route.ts";

/** Pins, holds of updates and quarantine: done when answered. */
export const MARK_ROUTES = [
  route({
    method: "POST",
    status: 200,
    ...ofApp,
    path: "/v1/apps/{app}/pin",
    summary: "Keep a version whatever retention says; without a reason the pin is taken off",
    body: z.strictObject({ image, reason: printable(500).optional() }),
    answer: appStatusSchema,
    run({ engine, parameters: { app }, body }) {
      const slot = findSlot(engine.journal.slots.list(app), body.image);
      if (slot === undefined) throw noSuchImage(app, body.image);
      engine.journal.slots.pin(app, slot.image, body.reason);
      return toAppStatus(engine, app);
    },
  }),
  route({
    method: "POST",
    status: 200,
    ...ofApp,
    path: "/v1/apps/{app}/hold",
    summary: "Switch to no other version until a time, or for good; a rollback is not held",
    body: z.strictObject({ by: asked.by, reason: printable(500), until: z.iso.datetime().optional() }),
    answer: appStatusSchema,
    run({ engine, parameters: { app }, body: { by, reason, until } }) {
      engine.journal.apps.require(app);
      if (until !== undefined && Date.parse(until) <= engine.clock.date().getTime()) throw past(until);
      const utc = until === undefined ? undefined : new Date(until).toISOString();
      engine.journal.updateHolds.set(app, { reason, until: utc, by });
      return toAppStatus(engine, app);
    },
  }),
  route({
    method: "POST",
    status: 200,
    ...ofApp,
    path: "/v1/apps/{app}/unhold",
    summary: "Lift a hold of updates",
    body: z.strictObject({ by: asked.by }),
    answer: appStatusSchema,
    run({ engine, parameters: { app }, body: { by } }) {
      engine.journal.apps.require(app);
      engine.journal.updateHolds.lift(app, by);
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

/** A hold whose time is over before it begins. */
function past(until: string): HostdError {
  return new HostdError("bad-request", `until: expected a time to come, got ${until}`, {
    hint: "date says what the node takes for now",
  });
}

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
