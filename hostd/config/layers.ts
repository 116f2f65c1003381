import { appSchema } from "../../manifests/app.ts";
import { HostdError } from "../error.ts";

/** Layers that hold for every app of the node, the weakest first; that of one app is above them all. */
const SHARED = ["global", "site", "group", "node"] as const;
const OF_APP = "app/";

/**
 * The layers of an app, weakest first. What the release declares is below them: it is the product's word for everybody,
 * theirs is the word of whoever runs this node.
 */
export function layersOf(app: string): string[] {
  return [...SHARED, `${OF_APP}${app}`];
}

/** The app whose layer this is; undefined for one that all share. */
export function appOfLayer(layer: string): string | undefined {
  return layer.startsWith(OF_APP) ? layer.slice(OF_APP.length) : undefined;
}

export function checkLayer(layer: string): string {
  const app = appOfLayer(layer);
  const known = app === undefined ? SHARED.some((name) => name === layer) : appSchema.shape.name.safeParse(app).success;
  if (known) return layer;
  throw new HostdError(
    "bad-request",
    `expected a layer (${SHARED.join(", ")} or app/NAME), got ${JSON.stringify(layer)}`,
  );
}
