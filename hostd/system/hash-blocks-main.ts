import { workerData } from "node:worker_threads";
import { hashRing, type Ring } from "../../images/layer/hasher.ts";

// The second thread of laydown-main.ts.

hashRing(workerData as Ring);
