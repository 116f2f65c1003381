/** The shop's own version: shown by /healthz and in the log. */
export const version = "4.0.0";
