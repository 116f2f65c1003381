import { defineConfig } from "vitest/config";

const NEEDED = 24;
const found = Number(process.versions.node.split(".")[0]);
if (found !== NEEDED) {
  throw new Error(
    `expected Node ${NEEDED}, got ${process.version}: run the tests with ./run test, which brings its own Node`,
  );
}

export default defineConfig({
  test: {
    reporters: ["default"],
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: 30_000 } },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: "vm",
          include: ["test/vm/**/*.test.ts"],
          exclude: ["test/vm/**/*.long.test.ts"],
          testTimeout: 900_000,
          hookTimeout: 900_000,
          // a machine uses every core, and its time-outs are those of a real one: one at a time, after all others
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          // more machines than every run has time for: npm run vm
          name: "vm-long",
          include: ["test/vm/**/*.long.test.ts"],
          testTimeout: 900_000,
          hookTimeout: 900_000,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
