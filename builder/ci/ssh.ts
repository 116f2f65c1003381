import { createServer } from "node:net";

/** The system's ssh, without the user's own configuration and known hosts. */
export function sshCommand(key: string, port: number): string[] {
  const settings = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes"];
  const timeouts = ["ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=4", "IdentitiesOnly=yes"];
  const options = [...settings, ...timeouts].flatMap((setting) => ["-o", setting]);
  return ["ssh", "-F", "none", ...options, "-i", key, "-p", String(port), "root@127.0.0.1"];
}

/** A port of 127.0.0.1 that nobody has just now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new TypeError("expected a port");
  return address.port;
}
