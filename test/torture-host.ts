import { parseArgs } from "node:util";
import { tortureHost } from "./hostd/host-torture.ts";

// npm run torture:host -- --cuts 50 --seed 7: a host's power goes at random moments of its upgrades; exit 1 on any violation.

const { values } = parseArgs({
  options: {
    cuts: { type: "string", default: "50" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});

const say = (text: string) => void process.stdout.write(`${text}\n`);
const violations = await tortureHost({ cuts: Number(values.cuts), seed: Number(values.seed), say });
process.exitCode = violations.length === 0 ? 0 : 1;
