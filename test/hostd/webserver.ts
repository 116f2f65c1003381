import { once } from "node:events";
import { Worker } from "node:worker_threads";

/**
 * A static file server on loopback, as a repository is served. It has a thread of its own: tests that wait for a command
 * synchronously would keep their hostd waiting for it.
 */
export async function serveDirectory(directory: string): Promise<{ url: string; close(): Promise<void> }> {
  const thread = new Worker(new URL("./webserver-thread.ts", import.meta.url), { workerData: directory, execArgv: [] });
  const [port] = await once(thread, "message");
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      await thread.terminate();
    },
  };
}
