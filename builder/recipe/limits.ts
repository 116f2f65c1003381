/** What a recipe may hold at most; all are checked before work is spent on what goes beyond. */
export const LIMITS = {
  /** Bytes of the whole file. */
  fileBytes: 1024 * 1024,
  lines: 10_000,
  /** Characters of one physical line. */
  lineLength: 64 * 1024,
  instructions: 2_000,
  /** Words of one instruction that is no shell text. */
  words: 4_096,
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
  /** Problems of one instruction that are looked for, problems shown at once, warnings kept. */
  problems: 100,
} as const;
