#!/usr/bin/env node
import { enableCompileCache } from "node:module";
import { join } from "node:path";

enableCompileCache(join(import.meta.dirname, "../.ostler/compile-cache")); // the default below /tmp is anybody's to make
const { runProgram } = await import("../terminal/program.ts");
const { default: about } = await import("../package.json", { with: { type: "json" } });
const { homeDirectory } = await import("./home.ts");

process.exitCode = await runProgram(
  {
    name: "ostler",
    summary: "build, sign, promote and run immutable images",
    version: about.version,
    options: [
      { flags: "--home <dir>", summary: "the operator's store, cache, keys and repository", default: homeDirectory() },
    ],
    verbs: {
      build: async () => (await import("./build.ts")).verb,
      ci: async () => (await import("./ci.ts")).verb,
      images: async () => (await import("./images.ts")).verb,
      verify: async () => (await import("./verify.ts")).verb,
      mark: async () => (await import("./mark.ts")).verb,
      promote: async () => (await import("./promote.ts")).verb,
      revoke: async () => (await import("./revoke.ts")).verb,
      policy: async () => (await import("./policy.ts")).verb,
      "keys init": async () => (await import("./keys-init.ts")).verb,
      "keys list": async () => (await import("./keys-list.ts")).verb,
      "keys refresh": async () => (await import("./keys-refresh.ts")).verb,
      deploy: async () => (await import("./deploy.ts")).verb,
      status: async () => (await import("./status.ts")).verb,
      disk: async () => (await import("./disk.ts")).verb,
      push: async () => (await import("./push.ts")).verb,
      "node add": async () => (await import("./node-add.ts")).verb,
      "node update": async () => (await import("./node-update.ts")).verb,
      "node list": async () => (await import("./node-list.ts")).verb,
      "node history": async () => (await import("./node-history.ts")).verb,
      "node group": async () => (await import("./node-group.ts")).verb,
      "node rename": async () => (await import("./node-rename.ts")).verb,
      "node remove": async () => (await import("./node-remove.ts")).verb,
      "rollout start": async () => (await import("./rollout-start.ts")).verb,
      "rollout status": async () => (await import("./rollout-status.ts")).verb,
      "rollout approve": async () => (await import("./rollout-approve.ts")).verb,
      "rollout reject": async () => (await import("./rollout-reject.ts")).verb,
      "rollout resume": async () => (await import("./rollout-resume.ts")).verb,
      logs: async () => (await import("./logs.ts")).verb,
      failure: async () => (await import("./failure.ts")).verb,
      collect: async () => (await import("./collect.ts")).verb,
      history: async () => (await import("./history.ts")).verb,
      "config set": async () => (await import("./config-set.ts")).verb,
      "config show": async () => (await import("./config-show.ts")).verb,
      "config diff": async () => (await import("./config-diff.ts")).verb,
      "config apply": async () => (await import("./config-apply.ts")).verb,
      "config history": async () => (await import("./config-history.ts")).verb,
      rollback: async () => (await import("./rollback.ts")).verb,
    },
  },
  process.argv.slice(2),
);
