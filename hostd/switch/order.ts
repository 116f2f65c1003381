import type { App } from "../../manifests/app.ts";
import { canRead } from "../data/compatible.ts";

/** Whether the new generation may run beside the old one, and, where its image would have it so, why it may not. */
export type Order = { beside: true } | { beside: false; because: string | undefined };

export interface OrderInput {
  /** What runs now; undefined where nothing does. */
  old: App | undefined;
  next: App;
  dataFormat: number | undefined;
  /** The data goes back to a snapshot. */
  restores: boolean;
}

/**
 * Chooses the order of a switch (docs/recipe.md, SWITCH). Beside each other run only two versions that both say so, on
 * sockets that both have, over data that both can use as it is: no migration, no snapshot to go back to.
 */
export function chooseOrder({ old, next, dataFormat, restores }: OrderInput): Order {
  if (next.switch?.order !== "start-first" || old === undefined) return { beside: false, because: undefined };
  const because = obstacle(old, next, dataFormat, restores);
  return because === undefined ? { beside: true } : { beside: false, because };
}

function obstacle(old: App, next: App, dataFormat: number | undefined, restores: boolean): string | undefined {
  if (old.switch?.order !== "start-first") return "the version that runs does not say start-first";
  if (restores) return "the data goes back to a snapshot";
  const gone = old.listen.find(
    (one) => !next.listen.some((other) => other.port === one.port && other.address === one.address),
  );
  if (gone !== undefined) return `the new version does not listen on ${gone.address}:${gone.port}`;
  const data = [...old.data, ...next.data];
  if (data.some(({ shared }) => shared !== true)) return "not both versions share their data";
  const written = next.data[0]?.format;
  if (written !== undefined && dataFormat !== undefined && written > dataFormat) {
    return `the data is migrated from format ${dataFormat} to ${written}`;
  }
  return canRead(old, dataFormat) ? undefined : `the version that runs cannot read format ${dataFormat}`;
}
