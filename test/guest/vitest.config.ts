import { defineConfig } from "vitest/config";

/** Tests that run inside a guest (test/vm/test-guest.ts), on a kernel with device-mapper, emulated and slow. */
export default defineConfig({
  test: {
    include: ["test/guest/**/*.test.ts"],
    reporters: ["verbose"],
    testTimeout: 600_000,
    hookTimeout: 120_000,
    maxWorkers: 1,
    isolate: false,
  },
});
