/** One thing that happened in long work. JSON lines of these are the `--progress jsonl` format, version 1. */
export interface ProgressEvent {
  /** Names the piece of work; events of one id replace each other on a terminal. */
  id: string;
  state: "started" | "output" | "done" | "cached" | "failed";
  text: string;
  /** Fraction done, 0 to 1, where it is known. */
  fraction?: number;
  /** Milliseconds from started to done. */
  took?: number;
}

export type Progress = (event: ProgressEvent) => void;
