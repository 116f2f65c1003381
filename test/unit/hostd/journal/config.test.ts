import { describe, expect, test } from "vitest";
import { readLayer } from "../../../../hostd/config/read.ts";
import { openConfigLog } from "../../../../hostd/journal/config.ts";
import { type Database, openDatabase } from "../../../../hostd/journal/database.ts";
import { openEvents } from "../../../../hostd/journal/events.ts";

const date = () => new Date("2026-11-21T08:00:00Z");

function open() {
  const database: Database = openDatabase(":memory:");
  const events = openEvents(database, date);
  const log = openConfigLog(database, events, date);
  const set = (layer: string, text: string) =>
    log.setLayer({ layer, file: `${layer}.yaml`, text, tree: readLayer("f", text), by: "ada" });
  const secret = (subject: string, digest: string | undefined) => log.setSecret({ subject, digest, by: "ada" });
  return { database, events, log, set, secret };
}

describe("the log of layers and secrets", () => {
  test("every change is a revision; the same document or secret again is none", () => {
    const { log, set, secret } = open();
    expect([log.head(), set("site", "a: 1"), set("site", "a: 1"), set("global", "a: 1")]).toEqual([0, 1, 1, 2]);
    expect([secret("key", "d1"), secret("key", "d1"), secret("key", "d2"), set("site", "a: 2")]).toEqual([3, 3, 4, 5]);
    expect(log.list({ limit: 2 }).map(({ revision, subject }) => `${revision} ${subject}`)).toEqual([
      "5 site",
      "4 key",
    ]);
    expect(log.list({ limit: 9, subject: "site" }).map(({ revision }) => revision)).toEqual([5, 1]);
  });

  test("any revision can be asked for again: layers weakest first, an app's own last", () => {
    const { log, set } = open();
    set("app/shop", "a: 1");
    set("node", "a: 1");
    set("app/mail", "a: 1");
    set("global", "a: 1");
    set("node", "a: 2");
    expect(log.layersAt("shop", 5).map(({ layer }) => layer)).toEqual(["global", "node", "app/shop"]);
    expect(log.layersAt("shop", 2).map(({ layer }) => layer)).toEqual(["node", "app/shop"]);
    expect(log.layersAt("shop", 5)[1]?.tree).toMatchObject({ members: { a: { leaf: 2 } } });
    expect(log.layersAt("shop", 4)[1]?.tree).toMatchObject({ members: { a: { leaf: 1 } } });
    expect(log.layersAt("shop", 0)).toEqual([]);
  });

  test("a secret of the app's own goes before one of all; one that was forgotten is none", () => {
    const { log, secret } = open();
    secret("key", "all");
    secret("shop/key", "own");
    secret("mail/other", "theirs");
    expect(Object.fromEntries(log.secretsAt("shop", 3))).toEqual({
      key: { subject: "shop/key", digest: "own", revision: 2 },
    });
    secret("shop/key", undefined);
    expect(log.secretsAt("shop", 4).get("key")).toMatchObject({ digest: "all" });
    expect(log.secretsAt("shop", 3).get("key")).toMatchObject({ digest: "own" });
    expect(log.allSecrets(4).map(({ subject }) => subject)).toEqual(["key", "mail/other"]);
  });

  test("a change of another app's own does not concern an app", () => {
    const { log, set, secret } = open();
    set("site", "a: 1");
    set("app/mail", "a: 1");
    secret("mail/key", "d");
    expect([log.concerning("shop", 9), log.concerning("mail", 9), log.concerning("mail", 2)]).toEqual([1, 3, 2]);
    secret("key", "d");
    expect(log.concerning("shop", 9)).toBe(4);
  });

  test("what was set can be neither changed nor removed, and events tell of it", () => {
    const { database, events, set, secret } = open();
    set("app/shop", "a: 1");
    secret("key", "d");
    expect(() => database.run("UPDATE config_changes SET text = 'b: 2'", [])).toThrow("append-only");
    expect(() => database.run("DELETE FROM config_changes", [])).toThrow("append-only");
    expect(events.list({ limit: 9 })).toMatchObject([
      { kind: "config.set", app: "shop", detail: { layer: "app/shop", revision: 1, by: "ada" } },
      { kind: "secret.set", detail: { secret: "key", revision: 2, by: "ada" } },
    ]);
  });
});
