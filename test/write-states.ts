import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { drawStates } from "../hostd/drawn.ts";

// Writes docs/states.md anew from the table in hostd/states.ts.
writeFileSync(join(import.meta.dirname, "../docs/states.md"), drawStates());
