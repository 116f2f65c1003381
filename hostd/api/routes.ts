import * as z from "zod";
import { CARE_ROUTES } from "./care-routes.ts";
import { CHANGE_ROUTES } from "./change-routes.ts";
import { CONFIG_ROUTES } from "./config-routes.ts";
import { MARK_ROUTES } from "./mark-routes.ts";
import { toOpenApi } from "./openapi.ts";
import { empty } from "./parts.ts";
import { READ_ROUTES } from "./read-routes.ts";
import { REPORT_ROUTES } from "./report-routes.ts";
import { type Route, route } from "./route.ts";

/** Once for every caller: two hundred who ask and do not read hold one. */
let described: Buffer | undefined;

/** The whole API of hostd. The server answers nothing that does not stand here. */
export const ROUTES: readonly Route[] = [
  ...READ_ROUTES,
  ...REPORT_ROUTES,
  ...CHANGE_ROUTES,
  ...MARK_ROUTES,
  ...CARE_ROUTES,
  ...CONFIG_ROUTES,
  route({
    ...empty,
    method: "GET",
    status: 200,
    path: "/v1/openapi.json",
    summary: "This API as an OpenAPI 3.1 document",
    answer: z.record(z.string(), z.unknown()),
    run: () => {
      described ??= Buffer.from(`${JSON.stringify(toOpenApi(ROUTES, "1"))}\n`);
      return described;
    },
  }),
];
