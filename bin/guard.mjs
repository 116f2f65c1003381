// Plain JavaScript, so that any Node can read it: names the wrong one before it stumbles over TypeScript.
import { readFileSync } from "node:fs";

const needed = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).devDependencies.node;
if (process.versions.node.split(".")[0] !== needed.split(".")[0]) {
  process.stderr.write(`error: expected Node ${needed}, got ${process.versions.node} (${process.execPath})\n`);
  process.stderr.write("hint: ./run setup installs the right one; bin/ostler and bin/hostd take it by themselves\n");
  process.exit(1);
}
