import * as z from "zod";
import { collectDocumentSchema } from "../../manifests/collect.ts";
import { collect } from "../metrics/collect.ts";
import { toFamilies } from "../metrics/families.ts";
import { METRICS_MEDIA, toMetricsText } from "../metrics/text.ts";
import { empty } from "./parts.ts";
import { route } from "./route.ts";

const reads = { method: "GET", status: 200, ...empty } as const;

/** What a centre polls: the whole node in one answer. */
export const REPORT_ROUTES = [
  route({
    ...reads,
    path: "/v1/collect",
    summary: "The whole node in one document: machine, disk, apps, health, last updates, quarantine, what is under way",
    answer: collectDocumentSchema,
    run: ({ engine }) => collect(engine),
  }),
  route({
    ...reads,
    path: "/v1/metrics",
    summary: "The same as numbers, in Prometheus' text format",
    answer: z.string(),
    media: METRICS_MEDIA,
    run: async ({ engine }) => toMetricsText(toFamilies(await collect(engine), engine.journal.tally.outcomes())),
  }),
];
