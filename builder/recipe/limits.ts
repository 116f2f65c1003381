/** What a recipe may hold at most; all are checked before work is spent on what goes beyond. */
export const LIMITS = {
  /** Bytes of the whole file. */
  fileBytes: 1024 * 1024,
  lines: 10_000,
  /** Characters of one physical line. */
  lineLength: 64 * 1024,
  instructions: 2_000,
  /** ENV and ARG names of one section. */
  variables: 1_000,
  /** Heredocs that one instruction opens. */
  heredocs: 32,
  /** Characters of one value after substitution. */
  valueLength: 64 * 1024,
  /** Characters that all substitutions of a recipe may read and write together. */
  substitutionWork: 32 * 1024 * 1024,
  /** `${a:-${b:-...}}` inside one another. */
  substitutionDepth: 16,
  /** Bytes of a path (PATH_MAX). */
  pathBytes: 4096,
  /** Problems shown at once. */
  problems: 100,
} as const;
