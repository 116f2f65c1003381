import { join } from "node:path";
import { run } from "../effects/process.ts";

/** Programs in the form in which a node has them; from the sources each would be compiled first. */
export interface Bundle {
  hostd: string;
  /** Stages an image by hostd's own functions (ours.ts). */
  ours: string;
}

export async function bundle(directory: string): Promise<Bundle> {
  await run([process.execPath, "bundle.ts", directory]);
  const form = ["--bundle", "--platform=node", "--target=node24", "--format=esm", "--out-extension:.js=.mjs"];
  const what = ["ours=bench/ours.ts", "--define:HOSTD_BUNDLED=true", "--log-level=warning", `--outdir=${directory}`];
  await run(["node_modules/.bin/esbuild", ...form, ...what]);
  return { hostd: join(directory, "hostd"), ours: join(directory, "ours.mjs") };
}
