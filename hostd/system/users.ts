import { readFile } from "node:fs/promises";
import * as z from "zod";
import { writeDurably } from "../../effects/durable.ts";
import { unlessMissing } from "../../effects/errno.ts";
import { NodeError } from "./failure.ts";
import type { Paths } from "./paths.ts";
import { createQueue } from "./queue.ts";

/** The range that Debian policy and systemd leave for users made at run time. */
const FIRST_ID = 61_184;
const LAST_ID = 65_519;

const usersSchema = z.strictObject({ next: z.int(), apps: z.record(z.string(), z.int()) });

/** The user (and group) id each app runs as and owns its data by; given once, never to another app. */
export function openUsers(paths: Paths): (app: string) => Promise<number> {
  const inTurn = createQueue();
  const given = new Map<string, number>();

  const look = (app: string) =>
    inTurn(async () => {
      const text = await unlessMissing(readFile(paths.users, "utf8"));
      const users = text === undefined ? { next: FIRST_ID, apps: {} } : usersSchema.parse(JSON.parse(text));
      const known = Object.hasOwn(users.apps, app) ? users.apps[app] : undefined;
      if (known !== undefined) return known;
      const id = users.next;
      if (id > LAST_ID) {
        throw new NodeError("no-user-id", `${app}: all user ids from ${FIRST_ID} to ${LAST_ID} are taken`);
      }
      const changed = { next: id + 1, apps: { ...users.apps, [app]: id } };
      await writeDurably(paths.users, `${JSON.stringify(changed, undefined, 2)}\n`);
      return id;
    });

  return async (app) => {
    const id = given.get(app) ?? (await look(app));
    given.set(app, id);
    return id;
  };
}
