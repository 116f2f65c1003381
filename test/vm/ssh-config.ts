import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Writes an ssh_config in which a machine is `node-1`, with known hosts of its own. Answers the file. */
export async function writeSshConfig(directory: string, port: number, key: string): Promise<string> {
  const [config, known] = [join(directory, "ssh_config"), join(directory, "known_hosts")];
  await rm(known, { force: true });
  const lines = [
    "Host node-1",
    " HostName 127.0.0.1",
    ` Port ${port}`,
    " User root",
    ` IdentityFile ${key}`,
    " IdentitiesOnly yes",
    ` UserKnownHostsFile ${known}`,
    " StrictHostKeyChecking accept-new",
    " LogLevel ERROR",
  ];
  await writeFile(config, `${lines.join("\n")}\n`);
  return config;
}
