import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { openDraft } from "../copy/draft.ts";
import { materialise } from "../copy/materialise.ts";
import type { WorkdirStep } from "../recipe/recipe.ts";
import { toBinary } from "../tree/bytes.ts";
import { inputsOf } from "./inputs.ts";
import type { PreparedStep, StepPlace, StepShop } from "./shop.ts";

/** WORKDIR makes its directory, owned by root, where the tree has none. */
export async function prepareWorkdir(step: WorkdirStep, place: StepPlace, shop: StepShop): Promise<PreparedStep> {
  return {
    inputs: inputsOf(step, place.below.id, place.epoch, {}),
    async make(tree) {
      const view = await shop.views(place.below);
      const draft = openDraft(view, place.epoch);
      const path = draft.resolve(toBinary(step.workdir));
      if (view.at(path)?.type !== "directory") draft.directory(path);
      const root = join(tree, "root");
      await mkdir(root);
      return materialise(draft.entries(), root);
    },
  };
}
