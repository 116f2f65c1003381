/** The shop's own version: shown by /healthz and in the log. */
export const version = "1.0.0";
