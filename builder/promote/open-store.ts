import { stat } from "node:fs/promises";
import { join } from "node:path";
import { unlessMissing } from "../../effects/errno.ts";
import { openStore, type Store } from "../../images/store.ts";
import { PromoteError } from "./error.ts";

/** The store in a home that something was built in; where there is none it is not made. */
export async function openBuiltStore(directory: string): Promise<Store> {
  if ((await unlessMissing(stat(join(directory, "oci-layout")))) !== undefined) return await openStore(directory);
  throw new PromoteError("store-missing", `${directory}: expected images, got none`, {
    hint: "`ostler build RECIPE` or `ostler ci RECIPE` makes one; --home names another home",
  });
}
