import { CHANGE_ROUTES } from "./change-routes.ts";
import { MARK_ROUTES } from "./mark-routes.ts";
import { READ_ROUTES } from "./read-routes.ts";

/** The whole API of hostd. The server answers nothing that does not stand here. */
export const ROUTES = [...READ_ROUTES, ...CHANGE_ROUTES, ...MARK_ROUTES];
