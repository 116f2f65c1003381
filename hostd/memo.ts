/** Answers a question once: the same key gets the first answer again, as long as that was one to keep. */
export type Memo = <T>(key: string, ask: () => Promise<T>, keep?: (answer: T) => boolean) => Promise<T>;

/** Answers that are kept; the oldest goes first. */
const MOST_ANSWERS = 32;

export function createMemo(): Memo {
  const answers = new Map<string, unknown>();
  return async (key, ask, keep = () => true) => {
    if (answers.has(key)) return answers.get(key) as Awaited<ReturnType<typeof ask>>;
    const answer = await ask();
    if (!keep(answer)) return answer;
    answers.set(key, answer);
    const [oldest] = answers.keys();
    if (answers.size > MOST_ANSWERS && oldest !== undefined) answers.delete(oldest);
    return answer;
  };
}
