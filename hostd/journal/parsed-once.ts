/** Texts whose values are kept; the oldest goes first. */
const MOST_TEXTS = 16;

/** A parser that answers the same text with the same value: an image's documents never change, and every step asks for them. */
export function parsedOnce<T>(parse: (text: string) => T): (text: string) => T {
  const values = new Map<string, T>();
  return (text) => {
    const value = values.get(text) ?? parse(text);
    values.delete(text);
    values.set(text, value);
    const [oldest] = values.keys();
    if (values.size > MOST_TEXTS && oldest !== undefined) values.delete(oldest);
    return value;
  };
}
