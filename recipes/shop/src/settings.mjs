import { readFileSync } from "node:fs";
import * as z from "zod";

const configSchema = z.strictObject({ greeting: z.string().min(1) });

/** Where the orders are kept: the recipe's DATA path unless SHOP_DATA says otherwise. */
export function dataDirectory(environment) {
  return environment.SHOP_DATA ?? "/var/lib/shop";
}

/** The rendered CONFIG file of the recipe, checked; throws with the file's name when it is missing or wrong. */
export function readConfig(environment) {
  const file = environment.SHOP_CONFIG ?? "/etc/shop/config.json";
  try {
    return configSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : error.message;
    throw new Error(`cannot use the config ${file}: ${reason}`, { cause: error });
  }
}

/** How long a drain waits, in milliseconds: see drain.mjs. The limit stays below the recipe's stop timeout. */
export function drainTimes(environment) {
  return { grace: Number(environment.SHOP_DRAIN_GRACE ?? 300), limit: Number(environment.SHOP_DRAIN_LIMIT ?? 8_000) };
}

/** A unix socket of this process alone, for a recipe with `SWITCH start-first --probe=`; undefined where none is named. */
export function probePath(environment) {
  return environment.SHOP_PROBE === "" ? undefined : environment.SHOP_PROBE;
}

/**
 * Where to listen: on the first socket that the service manager hands over (LISTEN_FDS, from fd 3 on), so that it
 * stays open while versions change; else on PORT.
 */
export function listenTarget(environment, pid) {
  const meant = environment.LISTEN_PID === undefined || Number(environment.LISTEN_PID) === pid;
  if (meant && Number(environment.LISTEN_FDS ?? 0) > 0) return { fd: 3 };
  return { port: Number(environment.PORT ?? 8080), host: environment.HOST ?? "127.0.0.1" };
}
