import {
  initRepository,
  type Publishing,
  publishRelease,
  publishTargets,
  refreshTimestamp,
  rotateRoot,
} from "../keys/tuf/repository.ts";
import { allSigners, keysOf, makeFoundation, makeRelease, signerOf } from "./foundation.ts";

// A publisher that dies: `publisher.ts DIRECTORY ACTION WRITES` kills itself with SIGKILL after that many writes.

const [directory = "", action = "", writes = ""] = process.argv.slice(2);
let left = Number(writes);

const publishing: Publishing = {
  directory,
  now: new Date("2026-11-21T08:00:00Z"),
  signers: (role) => (role === "timestamp" ? [signerOf("timestamp"), signerOf("timestamp", 2)] : allSigners(role)),
  onWritten: () => {
    left -= 1;
    if (left === 0) process.kill(process.pid, "SIGKILL");
  },
};

const ACTIONS: Record<string, () => Promise<void>> = {
  init: () => initRepository(publishing, makeFoundation()),
  release: () => publishRelease(publishing, makeRelease(2)),
  policy: () => publishTargets(publishing, { policy: { ...makeFoundation().policy, revoked: [] } }),
  refresh: () => refreshTimestamp(publishing),
  rotate: () => rotateRoot(publishing, { ...makeFoundation().roles, timestamp: keysOf(signerOf("timestamp", 2)) }),
};

await ACTIONS[action]?.();
