/** One line of JSON per thing worth telling; what hostd decided at start and why is told here and in the events. */
export type Log = (level: "info" | "warn" | "error", message: string, about?: Record<string, unknown>) => void;

export const logToStderr: Log = (level, message, about = {}) => {
  const { message: cause, ...rest } = about;
  const line = { at: new Date().toISOString(), level, message, ...rest, ...(cause === undefined ? {} : { cause }) };
  process.stderr.write(`${JSON.stringify(line)}\n`);
};
