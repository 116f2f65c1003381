import { parseArgs } from "node:util";
import { tortureHost } from "./hostd/host-torture.ts";
import { cutPower } from "./vm/power-cuts/torture.ts";

// npm run torture:host -- --cuts 50 --seed 7: a host's power goes at random moments of its upgrades; exit 1 on any violation.
// The host is a machine of files, thousands of cuts a night; with --qemu it is a real one in QEMU, some minutes each.

const { values } = parseArgs({
  options: {
    cuts: { type: "string", default: "50" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    qemu: { type: "boolean", default: false },
  },
});

const say = (text: string) => void process.stdout.write(`${text}\n`);
const torture = values.qemu ? cutPower : tortureHost;
const violations = await torture({ cuts: Number(values.cuts), seed: Number(values.seed), say });
process.exitCode = violations.length === 0 ? 0 : 1;
