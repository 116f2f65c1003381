import * as z from "zod";
import { type Digest, digestSchema } from "../../manifests/digest.ts";
import { canonicalJson } from "../../manifests/document.ts";
import { GENERATION_STATES, type GenerationDocument } from "../../manifests/node.ts";
import type { Past } from "../config/choose.ts";
import { HostdError } from "../error.ts";
import { GENERATION_TRANSITIONS, type GenerationAction } from "../states.ts";
import { type Database, json } from "./database.ts";
import type { Operations } from "./operations.ts";
import { transition } from "./transition.ts";

const row = z.object({
  app: z.string(),
  number: z.int(),
  image: digestSchema,
  version: z.string(),
  config: z.int(),
  data_version: z.string().optional(),
  data_format: z.int().optional(),
  state: z.enum(GENERATION_STATES),
  operation: z.int(),
  since: z.string(),
  /** The generation whose process a reload left running. */
  process: z.int().optional(),
});

const configRow = z.object({
  version: z.int(),
  declared: json(z.record(z.string(), z.string())),
  revision: z.int(),
});

const pastRow = z.object({
  number: z.int(),
  revision: z.int(),
  state: z.string(),
  alone: z.int().transform((value) => value === 1),
});

export type GenerationRow = z.infer<typeof row>;

/** More operations than can be under way for one app at once: each plans a higher number than all before it. */
const UNDER_WAY = 16;

/** What a version of an app's config is made from: the release's own values, and the node's layers as of a revision. */
export interface ConfigBasis {
  declared: Record<string, string>;
  revision: number;
}

export interface NewGeneration {
  app: string;
  number: number;
  image: Digest;
  version: string;
  config: number;
  data: { version: string; format: number } | undefined;
  process?: number | undefined;
}

/**
 * What an app ran: image, config version and data, by rising number; and the config versions themselves. All of it is
 * kept, and nothing reads all of it: each question is for the few that its answer needs.
 */
export interface Generations {
  get(app: string, number: number): GenerationRow | undefined;
  require(app: string, number: number): GenerationRow;
  /** Of each version that is here the newest generation in each state, newest first. */
  ofSlots(app: string): GenerationRow[];
  /** The newest good one before a number. */
  goodBefore(app: string, number: number): GenerationRow | undefined;
  /** The config that was good last before a generation's own was; what came after that one, and was left for it again, is none. */
  configBefore(app: string, number: number): number | undefined;
  /** The newest of a version, or of an image whose digest begins so. */
  newestOf(app: string, version: string, digest: string | undefined): GenerationRow | undefined;
  /** Every number that an image ran as. */
  numbersOf(app: string, image: Digest): number[];
  /** Of each image that was ever good whose digest, in hexadecimal, begins so, the newest good one. */
  onceGood(app: string, hex: string): GenerationRow[];
  /** Which revisions of the node's config the versions that are here ran with. */
  revisionsOfSlots(app: string): number[];
  /** The number after every one that was ever used, also by an operation that did not get as far as a generation. */
  nextNumber(app: string): number;
  /** Begins a generation on trial; one that this operation began already is left as it is. */
  begin(operation: number, generation: NewGeneration): void;
  move(operation: number, app: string, number: number, action: Exclude<GenerationAction, "try">): void;
  setData(operation: number, app: string, number: number, data: { version: string; format: number }): void;
  /** How a revision of the node's config fared, where config was all that a switch changed and where not: the first of each. */
  past(app: string, revision: number): Past[];
  /** The version of this config; one seen before keeps its version. */
  configVersion(app: string, basis: ConfigBasis): number;
  config(app: string, version: number): ConfigBasis;
}

export function openGenerations(database: Database, operations: Operations, date: () => Date): Generations {
  const get = (app: string, number: number) =>
    database.one(row, "SELECT * FROM generations WHERE app = ? AND number = ?", [app, number]);

  function require(app: string, number: number): GenerationRow {
    const found = get(app, number);
    if (found !== undefined) return found;
    throw new HostdError("unknown-image", `${app} has no generation ${number}`, { hint: `hostd status ${app}` });
  }

  return {
    get,
    require,
    ofSlots: (app) =>
      database.all(
        row,
        `SELECT generations.* FROM slots, json_each(?) AS states JOIN generations
         ON generations.app = slots.app AND generations.number = (
           SELECT max(number) FROM generations WHERE app = slots.app AND image = slots.image AND state = states.value)
         WHERE slots.app = ? ORDER BY number DESC`,
        [JSON.stringify(GENERATION_STATES), app],
      ),
    goodBefore: (app, number) =>
      database.one(
        row,
        "SELECT * FROM generations WHERE app = ? AND number < ? AND state = 'good' ORDER BY number DESC LIMIT 1",
        [app, number],
      ),
    configBefore(app, number) {
      const { config } = require(app, number);
      return database.one(
        z.object({ config: z.int() }),
        `SELECT config FROM generations WHERE app = ?1 AND state = 'good' AND config <> ?2 AND number < (
           SELECT coalesce(min(number), ?3) FROM generations WHERE app = ?1 AND state = 'good' AND config = ?2)
         ORDER BY number DESC LIMIT 1`,
        [app, config, number],
      )?.config;
    },
    newestOf: (app, version, digest) =>
      database.one(
        row,
        `SELECT * FROM generations WHERE app = ? AND (version = ? OR substr(image, 1, length(?)) = ?)
         ORDER BY number DESC LIMIT 1`,
        [app, version, digest, digest],
      ),
    numbersOf: (app, image) =>
      database
        .all(z.object({ number: z.int() }), "SELECT number FROM generations WHERE app = ? AND image = ?", [app, image])
        .map(({ number }) => number),
    onceGood: (app, hex) =>
      database.all(
        row,
        `SELECT * FROM generations WHERE app = ?1 AND number IN (
           SELECT max(number) FROM generations WHERE app = ?1 AND state = 'good' AND substr(image, 8, length(?2)) = ?2 GROUP BY image)`,
        [app, hex],
      ),
    revisionsOfSlots: (app) =>
      database
        .all(
          z.object({ revision: z.int() }),
          `SELECT DISTINCT revision FROM slots JOIN generations USING (app, image)
           JOIN configs ON configs.app = generations.app AND configs.version = generations.config WHERE slots.app = ?`,
          [app],
        )
        .map(({ revision }) => revision),
    nextNumber(app) {
      const planned = database.all(
        z.object({ number: z.int() }),
        `SELECT coalesce(max(number), 0) AS number FROM generations WHERE app = ? UNION ALL
         SELECT coalesce(max(number), 0) FROM (
           SELECT json_extract(plan, '$.switch.to') AS number FROM operations
           WHERE app = ? AND json_extract(plan, '$.switch.to') IS NOT json_extract(plan, '$.switch.from')
           ORDER BY id DESC LIMIT ${UNDER_WAY})`,
        [app, app],
      );
      return Math.max(...planned.map(({ number }) => number)) + 1;
    },
    begin(operation, generation) {
      database.transaction(() => {
        operations.requireLock(operation, generation.app, "switch");
        const known = get(generation.app, generation.number);
        if (known?.operation === operation) return;
        const what = `generation ${generation.app} ${generation.number}`;
        const state = transition(GENERATION_TRANSITIONS, what, known?.state ?? "absent", "try");
        database.run(
          `INSERT INTO generations
           (app, number, image, version, config, data_version, data_format, state, operation, since, process)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
          [
            generation.app,
            generation.number,
            generation.image,
            generation.version,
            generation.config,
            generation.data?.version,
            generation.data?.format,
            state,
            operation,
            date().toISOString(),
            generation.process,
          ],
        );
      });
    },
    move(operation, app, number, action) {
      database.transaction(() => {
        operations.requireLock(operation, app, "switch");
        const state = transition(
          GENERATION_TRANSITIONS,
          `generation ${app} ${number}`,
          require(app, number).state,
          action,
        );
        database.run("UPDATE generations SET state = ? WHERE app = ? AND number = ?", [state, app, number]);
      });
    },
    setData(operation, app, number, data) {
      operations.requireLock(operation, app, "switch");
      database.run("UPDATE generations SET data_version = ?, data_format = ? WHERE app = ? AND number = ?", [
        data.version,
        data.format,
        app,
        number,
      ]);
    },
    past: (app, revision) =>
      database.all(
        pastRow,
        `SELECT min(number) AS number, revision, generations.state AS state, kind IN ('configure', 'reload', 'configure-host') AS alone FROM generations
         JOIN configs ON configs.app = generations.app AND configs.version = generations.config
         JOIN operations ON operations.id = generations.operation
         WHERE generations.app = ? AND revision = ? GROUP BY 3, 4`,
        [app, revision],
      ),
    configVersion(app, { declared, revision }) {
      const text = canonicalJson(declared);
      const known = database.one(
        configRow,
        "SELECT version, declared, revision FROM configs WHERE app = ? AND declared = ? AND revision = ?",
        [app, text, revision],
      );
      if (known !== undefined) return known.version;
      const last = database.one(
        z.object({ version: z.int() }),
        "SELECT coalesce(max(version), 0) AS version FROM configs WHERE app = ?",
        [app],
      );
      const next = (last?.version ?? 0) + 1;
      database.run("INSERT INTO configs (app, version, declared, revision) VALUES (?, ?, ?, ?)", [
        app,
        next,
        text,
        revision,
      ]);
      return next;
    },
    config(app, version) {
      const found = database.one(
        configRow,
        "SELECT version, declared, revision FROM configs WHERE app = ? AND version = ?",
        [app, version],
      );
      if (found !== undefined) return { declared: found.declared, revision: found.revision };
      throw new HostdError("unknown-config", `${app} has no config version ${version}`, {
        hint: `hostd changes ${app} shows what it ran with`,
      });
    },
  };
}

export function toGenerationDocument(generation: GenerationRow, configRevision: number): GenerationDocument {
  const { data_version: version, data_format: format } = generation;
  return {
    number: generation.number,
    image: generation.image,
    version: generation.version,
    state: generation.state,
    config: generation.config,
    configRevision,
    ...(version === undefined || format === undefined ? {} : { data: { version, format } }),
    since: generation.since,
  };
}
