declare const HOSTD_BUNDLED: true | undefined;

/** Whether this is the shipped bundle: decided when bundle.ts makes it, so that what only a checkout has is left out. */
export const BUNDLED = typeof HOSTD_BUNDLED !== "undefined";
