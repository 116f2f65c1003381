import type { Mode, ModeClause } from "../recipe/recipe.ts";

const WHO: Record<string, number> = { u: 0o4700, g: 0o2070, o: 0o1007 };
const PERMISSIONS: Record<string, number> = { r: 0o444, w: 0o222, x: 0o111 };
const SHIFT: Record<string, number> = { u: 6, g: 3, o: 0 };

/** An entry's mode after `--chmod`: octal as it is, symbolic clauses in turn, as chmod(1) does with umask 0. */
export function applyMode(mode: number, change: Mode | undefined, directory: boolean): number {
  if (change === undefined) return mode;
  if (change.form === "octal") return change.mode;
  return change.clauses.reduce((now, clause) => applyClause(now, clause, directory), mode);
}

function applyClause(mode: number, clause: ModeClause, directory: boolean): number {
  const who = clause.who === "" ? "ugo" : clause.who;
  const reach = [...who].reduce((bits, letter) => bits | (WHO[letter] ?? 0), 0);
  const bits = bitsOf(mode, clause.permissions, who, directory) & (reach | 0o1000);
  if (clause.operator === "+") return mode | bits;
  if (clause.operator === "-") return mode & ~bits;
  // `=` leaves setuid and setgid of a directory alone, as GNU chmod does
  const cleared = directory ? reach & 0o777 : reach & 0o6777;
  return (mode & ~cleared) | bits;
}

function bitsOf(mode: number, permissions: string, who: string, directory: boolean): number {
  let bits = 0;
  for (const letter of permissions) {
    const copied = SHIFT[letter];
    if (copied !== undefined) bits |= ((mode >> copied) & 7) * 0o111;
    else if (letter === "X") bits |= directory || (mode & 0o111) !== 0 ? 0o111 : 0;
    else if (letter === "s") bits |= (who.includes("u") ? 0o4000 : 0) | (who.includes("g") ? 0o2000 : 0);
    else if (letter === "t") bits |= 0o1000;
    else bits |= PERMISSIONS[letter] ?? 0;
  }
  return bits;
}
