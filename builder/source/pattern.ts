/**
 * A path pattern of COPY and .dockerignore as a regular expression over whole paths: `*` and `?` stay within a name,
 * `**` crosses names, `[a-z]` and `[^a-z]` are sets, `\` takes the next character as it is (Go filepath.Match).
 */
export function pathPattern(pattern: string): RegExp {
  let source = "";
  for (let at = 0; at < pattern.length; at++) {
    const rest = pattern.slice(at);
    const set = /^\[(\^?)((?:\\.|[^\]\\])+)\]/.exec(rest);
    if (rest.startsWith("**/")) {
      source += "(?:.*/)?";
      at += 2;
    } else if (rest.startsWith("**")) {
      source += ".*";
      at += 1;
    } else if (rest.startsWith("*")) source += "[^/]*";
    else if (rest.startsWith("?")) source += "[^/]";
    else if (set !== null) {
      source += `[${set[1]}${(set[2] as string).replaceAll("[", "\\[")}]`;
      at += set[0].length - 1;
    } else {
      const literal = rest.startsWith("\\") && rest.length > 1 ? rest[1] : rest[0];
      source += RegExp.escape(literal as string);
      at += rest.startsWith("\\") && rest.length > 1 ? 1 : 0;
    }
  }
  return new RegExp(`^${source}$`, "s");
}
