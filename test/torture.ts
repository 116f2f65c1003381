import { parseArgs } from "node:util";
import { torture } from "./hostd/torture.ts";

// npm run torture -- --rounds 500 --seed 7 --disk ext4: kills and power cuts at random moments; exit 1 on any violation.

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "100" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    disk: { type: "string", default: "ext4" },
    kind: { type: "string" },
  },
});

const result = await torture({
  rounds: Number(values.rounds),
  seed: Number(values.seed),
  disk: values.disk === "btrfs" ? "btrfs" : "ext4",
  strike: values.kind === "kill" || values.kind === "cut" ? values.kind : undefined,
  say: (text) => process.stdout.write(`${text}\n`),
});
process.exitCode = result.violations.length === 0 ? 0 : 1;
