/**
 * What a log's window holds that the window before it did not: the newest text begins where the longest end of the old
 * window stands as its beginning. `gap`: nothing of the old one is left, so something in between was missed.
 */
export function newPart(before: string, now: string): { text: string; gap: boolean } {
  if (now.startsWith(before)) return { text: now.slice(before.length), gap: false };
  const shared = overlap(before, now);
  if (shared > 0) return { text: now.slice(shared), gap: false };
  // A window that moved may begin in the middle of a character.
  const whole = now.slice(now.indexOf("\n") + 1);
  const rest = overlap(before, whole);
  return rest > 0 ? { text: whole.slice(rest), gap: false } : { text: now, gap: true };
}

/** Length of the longest end of `before` that `now` begins with, in linear time. */
function overlap(before: string, now: string): number {
  const fails = [0];
  for (let at = 1, length = 0; at < now.length; at++) {
    while (length > 0 && now[at] !== now[length]) length = fails[length - 1] ?? 0;
    if (now[at] === now[length]) length += 1;
    fails[at] = length;
  }
  let length = 0;
  for (const character of before.slice(-now.length).split("")) {
    if (length === now.length) length = fails[length - 1] ?? 0;
    while (length > 0 && character !== now[length]) length = fails[length - 1] ?? 0;
    if (character === now[length]) length += 1;
  }
  return length;
}
