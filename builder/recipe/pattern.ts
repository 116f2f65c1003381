/**
 * `${v#p}` and its kin over a value: `*` and `?` are wild, every other character stands for itself. All lengths that
 * match are found in one pass (no backtracking); `charge` is told the work before it is done.
 */
export function matchPattern(
  operator: string,
  value: string,
  pattern: string,
  replacement: string,
  charge: (work: number) => void,
): string {
  const parts = [...pattern];
  const cost = value.length * (parts.length + 1);
  switch (operator) {
    case "#":
    case "##":
      charge(cost);
      return value.slice(pick(operator, matchingLengths(value, parts)));
    case "%":
    case "%%": {
      charge(cost);
      const reversed = [...value].reverse().join("");
      const length = pick(operator, matchingLengths(reversed, parts.reverse()));
      return value.slice(0, value.length - length);
    }
    default:
      return replace(value, parts, replacement, operator === "//", (work) => charge(work));
  }
}

function replace(
  value: string,
  parts: readonly string[],
  replacement: string,
  all: boolean,
  charge: (work: number) => void,
): string {
  if (parts.length === 0) return value;
  let result = "";
  let at = 0;
  while (at < value.length) {
    charge((value.length - at) * (parts.length + 1));
    const length = Math.max(0, ...matchingLengths(value.slice(at), parts));
    if (length === 0) {
      result += value[at];
      at++;
      continue;
    }
    charge(replacement.length);
    result += replacement;
    at += length;
    if (!all) break;
  }
  return result + value.slice(at);
}

/** Shortest match for `#` and `%`, longest for `##` and `%%`; 0 when nothing matches. */
function pick(operator: string, lengths: readonly number[]): number {
  return (operator.length === 1 ? lengths[0] : lengths.at(-1)) ?? 0;
}

/** Every length of a prefix of `value` that the whole pattern matches, rising. */
function matchingLengths(value: string, parts: readonly string[]): number[] {
  const lengths: number[] = [];
  let states = withStars(parts, new Set([0]));
  for (let length = 0; ; length++) {
    if (states.has(parts.length)) lengths.push(length);
    if (length >= value.length || states.size === 0) return lengths;
    states = withStars(parts, advance(parts, states, value[length] ?? ""));
  }
}

function advance(parts: readonly string[], states: ReadonlySet<number>, character: string): Set<number> {
  const next = new Set<number>();
  for (const state of states) {
    const part = parts[state];
    if (part === "*") next.add(state);
    else if (part === "?" || part === character) next.add(state + 1);
  }
  return next;
}

function withStars(parts: readonly string[], states: Set<number>): Set<number> {
  for (const state of states) if (parts[state] === "*") states.add(state + 1);
  return states;
}
