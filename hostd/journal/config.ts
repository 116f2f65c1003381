import { createHash } from "node:crypto";
import * as z from "zod";
import { appOfLayer, layersOf } from "../config/layers.ts";
import type { Layer } from "../config/merge.ts";
import { type Tree, treeSchema } from "../config/tree.ts";
import { type Database, json } from "./database.ts";
import type { Events } from "./events.ts";

const change = z.object({
  revision: z.int(),
  kind: z.enum(["layer", "secret"]),
  /** A layer, or a secret's name, `APP/NAME` where it is one app's alone. */
  subject: z.string(),
  file: z.string().optional(),
  /** SHA-256 of a layer's text; keyed digest of a secret; absent where a secret was forgotten. */
  digest: z.string().optional(),
  caller: z.string(),
  at: z.string(),
});

const layerRow = change.extend({ text: z.string(), tree: json(treeSchema) });

export type ConfigChange = z.infer<typeof change>;

/** A secret as of a revision: which one it was, never what it is. */
export interface SecretMark {
  subject: string;
  digest: string;
  revision: number;
}

/**
 * What the node's layers and secrets were at any time: each change is one revision, and none is ever changed or
 * removed. A config version of an app names the revision that it was made from.
 */
export interface ConfigLog {
  /** The newest revision; 0 before the first. */
  head(): number;
  /** Sets a layer; the same text again changes nothing. Answers the revision that holds it. */
  setLayer(input: { layer: string; file: string; text: string; tree: Tree; by: string }): number;
  /** Says which secret now has a name; none with an undefined digest. The same one again changes nothing. */
  setSecret(input: { subject: string; digest: string | undefined; by: string }): number;
  /** Newest first. */
  list(filter: { limit: number; subject?: string | undefined }): ConfigChange[];
  /** Each layer's last change, shared ones and those of apps. */
  layers(): ConfigChange[];
  /** The layers of an app as of a revision, weakest first. */
  layersAt(app: string, revision: number): Layer[];
  /** The secrets that an app's templates may name as of a revision, by that name: its own go before those of all. */
  secretsAt(app: string, revision: number): Map<string, SecretMark>;
  /** Every secret there is as of a revision, whoever may name it. */
  allSecrets(revision: number): SecretMark[];
  /** The last revision up to this one that says anything to an app. */
  concerning(app: string, revision: number): number;
}

const NEWEST = "SELECT max(revision) FROM config_changes WHERE kind = ? AND revision <= ? GROUP BY subject";
const COLUMNS = "revision, kind, subject, file, digest, caller, at";

export function openConfigLog(database: Database, events: Events, date: () => Date): ConfigLog {
  const number = (sql: string, parameters: (string | number)[]) =>
    database.one(z.object({ revision: z.int() }), `SELECT coalesce(max(revision), 0) AS revision ${sql}`, parameters)
      ?.revision ?? 0;
  const head = () => number("FROM config_changes", []);

  function newest(kind: "layer" | "secret", subject: string): ConfigChange | undefined {
    const sql = `SELECT ${COLUMNS} FROM config_changes WHERE kind = ? AND subject = ? ORDER BY revision DESC LIMIT 1`;
    return database.one(change, sql, [kind, subject]);
  }

  function secrets(revision: number): SecretMark[] {
    const sql = `SELECT ${COLUMNS} FROM config_changes WHERE revision IN (${NEWEST}) ORDER BY subject`;
    return database
      .all(change, sql, ["secret", revision])
      .flatMap(({ subject, digest, revision: at }) =>
        digest === undefined ? [] : [{ subject, digest, revision: at }],
      );
  }

  return {
    head,
    setLayer: ({ layer, file, text, tree, by }) =>
      database.transaction(() => {
        const digest = createHash("sha256").update(text).digest("hex");
        const before = newest("layer", layer);
        if (before?.digest === digest && before.file === file) return before.revision;
        const { id } = database.run(
          "INSERT INTO config_changes (kind, subject, file, text, tree, digest, caller, at) VALUES ('layer', ?, ?, ?, ?, ?, ?, ?)",
          [layer, file, text, JSON.stringify(tree), digest, by, date().toISOString()],
        );
        events.append("config.set", {
          ...aboutApp(appOfLayer(layer)),
          detail: { layer, revision: id, file, digest, by },
        });
        return id;
      }),
    setSecret: ({ subject, digest, by }) =>
      database.transaction(() => {
        const before = newest("secret", subject);
        if (before?.digest === digest && (before !== undefined || digest === undefined))
          return before?.revision ?? head();
        const { id } = database.run(
          "INSERT INTO config_changes (kind, subject, digest, caller, at) VALUES ('secret', ?, ?, ?, ?)",
          [subject, digest, by, date().toISOString()],
        );
        const kind = digest === undefined ? "secret.forgotten" : "secret.set";
        events.append(kind, { ...aboutApp(ownerOf(subject)), detail: { secret: subject, revision: id, by } });
        return id;
      }),
    list: ({ limit, subject }) =>
      database.all(
        change,
        `SELECT ${COLUMNS} FROM config_changes WHERE ? IS NULL OR subject = ? ORDER BY revision DESC LIMIT ?`,
        [subject, subject, limit],
      ),
    layers() {
      const sql = `SELECT ${COLUMNS} FROM config_changes WHERE revision IN (${NEWEST}) ORDER BY subject`;
      return database.all(change, sql, ["layer", head()]);
    },
    layersAt(app, revision) {
      const sql = `SELECT ${COLUMNS}, text, tree FROM config_changes WHERE revision IN (${NEWEST})`;
      const rows = database.all(layerRow, sql, ["layer", revision]);
      return layersOf(app).flatMap((layer) => {
        const found = rows.find(({ subject }) => subject === layer);
        return found === undefined ? [] : [{ layer, file: found.file ?? layer, tree: found.tree }];
      });
    },
    secretsAt(app, revision) {
      const all = secrets(revision);
      const named = (owner: string | undefined) =>
        all
          .filter(({ subject }) => ownerOf(subject) === owner)
          .map((mark): [string, SecretMark] => [mark.subject.slice(mark.subject.indexOf("/") + 1), mark]);
      return new Map([...named(undefined), ...named(app)]);
    },
    allSecrets: secrets,
    concerning: (app, revision) =>
      number(
        `FROM config_changes WHERE revision <= ? AND (
         (kind = 'layer' AND (subject NOT LIKE 'app/%' OR subject = ?)) OR
         (kind = 'secret' AND (subject NOT LIKE '%/%' OR subject LIKE ? || '/%')))`,
        [revision, `app/${app}`, app],
      ),
  };
}

/** The app whose secret it is; undefined for one of all apps. */
function ownerOf(subject: string): string | undefined {
  const at = subject.indexOf("/");
  return at < 0 ? undefined : subject.slice(0, at);
}

function aboutApp(app: string | undefined): { app?: string } {
  return app === undefined ? {} : { app };
}
