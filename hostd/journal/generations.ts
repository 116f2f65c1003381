import * as z from "zod";
import { type Digest, digestSchema } from "../../manifests/digest.ts";
import { canonicalJson } from "../../manifests/document.ts";
import { GENERATION_STATES, type GenerationDocument } from "../../manifests/node.ts";
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
});

export type GenerationRow = z.infer<typeof row>;

export interface NewGeneration {
  app: string;
  number: number;
  image: Digest;
  version: string;
  config: number;
  data: { version: string; format: number } | undefined;
}

/** What an app ran: image, config version and data, by rising number; and the config versions themselves. */
export interface Generations {
  get(app: string, number: number): GenerationRow | undefined;
  require(app: string, number: number): GenerationRow;
  /** Newest first. */
  list(app: string): GenerationRow[];
  /** The number after every one that was ever used, also by an operation that did not get as far as a generation. */
  nextNumber(app: string): number;
  /** Begins a generation on trial; one that this operation began already is left as it is. */
  begin(operation: number, generation: NewGeneration): void;
  move(operation: number, app: string, number: number, action: Exclude<GenerationAction, "try">): void;
  setData(operation: number, app: string, number: number, data: { version: string; format: number }): void;
  /** The version of these declared values; a set of values seen before keeps its version. */
  configVersion(app: string, declared: Record<string, string>): number;
  config(app: string, version: number): Record<string, string>;
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
    list: (app) => database.all(row, "SELECT * FROM generations WHERE app = ? ORDER BY number DESC", [app]),
    nextNumber(app) {
      const planned = database.all(
        z.object({ number: z.int() }),
        `SELECT coalesce(max(number), 0) AS number FROM generations WHERE app = ? UNION ALL
         SELECT coalesce(max(json_extract(plan, '$.switch.to')), 0) AS number FROM operations WHERE app = ?`,
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
          `INSERT INTO generations (app, number, image, version, config, data_version, data_format, state, operation, since)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
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
    configVersion(app, declared) {
      const text = canonicalJson(declared);
      const version = z.object({ version: z.int() });
      const known = database.one(version, "SELECT version FROM configs WHERE app = ? AND declared = ?", [app, text]);
      if (known !== undefined) return known.version;
      const last = database.one(version, "SELECT coalesce(max(version), 0) AS version FROM configs WHERE app = ?", [
        app,
      ]);
      const next = (last?.version ?? 0) + 1;
      database.run("INSERT INTO configs (app, version, declared) VALUES (?, ?, ?)", [app, next, text]);
      return next;
    },
    config(app, version) {
      const declared = z.object({ declared: json(z.record(z.string(), z.string())) });
      const found = database.one(declared, "SELECT declared FROM configs WHERE app = ? AND version = ?", [
        app,
        version,
      ]);
      if (found === undefined) throw new HostdError("journal", `${app} has no config version ${version}`);
      return found.declared;
    },
  };
}

export function toGenerationDocument(generation: GenerationRow): GenerationDocument {
  const { data_version: version, data_format: format } = generation;
  return {
    number: generation.number,
    image: generation.image,
    version: generation.version,
    state: generation.state,
    config: generation.config,
    ...(version === undefined || format === undefined ? {} : { data: { version, format } }),
    since: generation.since,
  };
}
