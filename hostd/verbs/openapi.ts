import type { Verb } from "../../terminal/verb.ts";
import { toOpenApi } from "../api/openapi.ts";
import { ROUTES } from "../api/routes.ts";

export const verb: Verb = {
  name: "openapi",
  summary: "the API on hostd's socket as an OpenAPI 3.1 document; asks no daemon",
  examples: ["hostd openapi > hostd.json"],
  async run() {
    const document = toOpenApi(ROUTES, "1");
    return { json: document, text: JSON.stringify(document, undefined, 2) };
  },
};
