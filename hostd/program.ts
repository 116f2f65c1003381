import type { Program } from "../terminal/program.ts";

/** The `hostd` command: the daemon, and the verbs that ask it over its socket. */
export const PROGRAM: Program = {
  name: "hostd",
  summary: "the node daemon: stages, switches, judges and takes back versions",
  verbs: {
    serve: async () => (await import("./verbs/serve.ts")).verb,
    unit: async () => (await import("./verbs/unit.ts")).verb,
    status: async () => (await import("./verbs/status.ts")).verb,
    stage: async () => (await import("./verbs/stage.ts")).verb,
    activate: async () => (await import("./verbs/activate.ts")).verb,
    rollback: async () => (await import("./verbs/rollback.ts")).verb,
    changes: async () => (await import("./verbs/changes.ts")).verb,
    failure: async () => (await import("./verbs/failure.ts")).verb,
    health: async () => (await import("./verbs/health.ts")).verb,
    tasks: async () => (await import("./verbs/tasks.ts")).verb,
    inspect: async () => (await import("./verbs/inspect.ts")).verb,
    collect: async () => (await import("./verbs/collect.ts")).verb,
    metrics: async () => (await import("./verbs/metrics.ts")).verb,
    openapi: async () => (await import("./verbs/openapi.ts")).verb,
    logs: async () => (await import("./verbs/logs.ts")).verb,
    abort: async () => (await import("./verbs/abort.ts")).verb,
    pin: async () => (await import("./verbs/pin.ts")).verb,
    release: async () => (await import("./verbs/release.ts")).verb,
    fsck: async () => (await import("./verbs/fsck.ts")).verb,
    prune: async () => (await import("./verbs/prune.ts")).verb,
    reset: async () => (await import("./verbs/reset.ts")).verb,
    "snapshot create": async () => (await import("./verbs/snapshot-create.ts")).verb,
    "snapshot restore": async () => (await import("./verbs/snapshot-restore.ts")).verb,
    "snapshot list": async () => (await import("./verbs/snapshot-list.ts")).verb,
  },
};
