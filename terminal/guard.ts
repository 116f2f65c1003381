/** The Node major version that the project is pinned to (package.json). */
const NEEDED = 24;

/** Ends the program with a clear message where it was started on another Node than the pinned one. */
export function expectNode(program: string, version: string = process.versions.node): void {
  if (Number(version.split(".")[0]) === NEEDED) return;
  process.stderr.write(`error: ${program}: expected Node ${NEEDED}, got ${version} (${process.execPath})\n`);
  process.stderr.write(`hint: start bin/${program}, which takes the Node that ./run setup installs\n`);
  process.exit(1);
}
