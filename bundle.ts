import { execFileSync } from "node:child_process";
import { chmodSync, constants, copyFileSync, mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import about from "./package.json" with { type: "json" };

// npm run bundle [DIRECTORY]: hostd as a node runs it, with its Node and no npm package beside it. The same sources make the same bytes.

const root = import.meta.dirname;
const SYSTEM = join(root, "hostd/system");

/** What is bundled, each into one file of this name. */
const ENTRIES = {
  hostd: "hostd/main.ts",
  laydown: "hostd/system/laydown-main.ts",
  "hash-blocks": "hostd/system/hash-blocks-main.ts",
};

/** Programs that hostd starts as they are (hostd/system/programs.ts). */
const SCRIPTS = ["enter", "holder", "opaque", "prepare", "process", "steward"];

/** Of recipes/host, and of a machine that hostd is installed on. */
const UNIT = "recipes/host/deploy/usr/lib/systemd/system/hostd.service";

const NEEDED = about.devDependencies.node.split(".")[0];

/** CommonJS loads quicker and takes less memory than a module, and has no import.meta. A wrong Node is named first of all. */
const BANNER = `
const BUNDLE_URL = require("node:url").pathToFileURL(__filename).href;
if (process.versions.node.split(".")[0] !== "${NEEDED}") {
  process.stderr.write("error: hostd: expected Node ${NEEDED}, got " + process.version + " (" + process.execPath + ")\\n");
  process.stderr.write("hint: put a Node ${NEEDED} beside " + __filename + ", named node\\n");
  process.exit(1);
}`.trim();

const directory = resolve(process.argv[2] ?? join(root, "dist"));
rmSync(directory, { recursive: true, force: true });
mkdirSync(directory, { recursive: true });
execFileSync(
  join(root, "node_modules/.bin/esbuild"),
  [
    ...Object.entries(ENTRIES).map(([name, file]) => `${name}=${file}`),
    ...["--bundle", "--platform=node", "--target=node24", "--format=cjs", "--out-extension:.js=.cjs"],
    ...["--minify-syntax", "--minify-whitespace", "--line-limit=120", "--legal-comments=none", "--log-level=warning"],
    ...["--define:HOSTD_BUNDLED=true", "--define:import.meta.url=BUNDLE_URL", `--banner:js=${BANNER}`],
    `--outdir=${directory}`,
  ],
  { cwd: root, stdio: "inherit" },
);
for (const name of SCRIPTS) copyFileSync(join(SYSTEM, `${name}.pl`), join(directory, `${name}.pl`));
for (const [name, from] of Object.entries({ hostd: "bin/hostd-bundled", install: "bin/hostd-install" })) {
  copyFileSync(join(root, from), join(directory, name));
  chmodSync(join(directory, name), 0o755);
}
copyFileSync(join(root, UNIT), join(directory, "hostd.service"));
copyFileSync(process.execPath, join(directory, "node"), constants.COPYFILE_FICLONE);
process.stdout.write(`${directory}\n`);
