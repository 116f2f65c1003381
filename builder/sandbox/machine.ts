import { existsSync } from "node:fs";
import { ProcessError, run } from "../../effects/process.ts";

/** A file of the machine or of the builder's own that a sandbox sees read-only. */
export interface SandboxFile {
  /** Absolute path inside. */
  path: string;
  source: { machine: string } | { content: string };
  mode?: number;
}

/** What a step gets from the machine with network on: never part of a key or of a layer. */
export interface MachineNetwork {
  env: Record<string, string>;
  files: SandboxFile[];
}

const CA_INSIDE = "/dev/ostler/ca-certificates.crt";
const APT_INSIDE = "/dev/ostler/apt.conf";
const CA_BUNDLES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
const PROXIES = ["http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"];
/** Variables by which common programs find another bundle of certificates than their own. */
const CA_VARIABLES = [
  "SSL_CERT_FILE",
  "CURL_CA_BUNDLE",
  "GIT_SSL_CAINFO",
  "NODE_EXTRA_CA_CERTS",
  "npm_config_cafile",
  "PIP_CERT",
  "REQUESTS_CA_BUNDLE",
  "CARGO_HTTP_CAINFO",
  "AWS_CA_BUNDLE",
];
const LOCAL_HOSTS = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";

/** /etc/hosts of a step without network: loopback alone. */
export const OFFLINE: MachineNetwork = {
  env: {},
  files: [{ path: "/etc/hosts", source: { content: LOCAL_HOSTS } }],
};

/** Names, proxies and certificates that this machine reaches the network with. */
export async function machineNetwork(): Promise<MachineNetwork> {
  const proxies = PROXIES.flatMap((name) => [name, name.toUpperCase()]).flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const bundle = certificates();
  const certificateEnv = bundle === undefined ? [] : CA_VARIABLES.map((name) => [name, CA_INSIDE] as const);
  const apt = await aptConfiguration(bundle !== undefined);
  return {
    env: Object.fromEntries([...proxies, ...certificateEnv, ["APT_CONFIG", APT_INSIDE]]),
    files: [
      ...["/etc/resolv.conf", "/etc/hosts"].filter(existsSync).map((path) => ({ path, source: { machine: path } })),
      ...(bundle === undefined ? [] : [{ path: CA_INSIDE, source: { machine: bundle } }]),
      { path: APT_INSIDE, source: { content: apt } },
    ],
  };
}

function certificates(): string | undefined {
  const named = [process.env["SSL_CERT_FILE"], process.env["NODE_EXTRA_CA_CERTS"], ...CA_BUNDLES];
  return named.find((path) => path !== undefined && existsSync(path));
}

async function aptConfiguration(hasBundle: boolean): Promise<string> {
  const certificate = hasBundle ? [`Acquire::https::CaInfo "${CA_INSIDE}";`] : [];
  return [...(await aptProxies()), ...certificate].map((line) => `${line}\n`).join("");
}

/** Lines of configuration with the proxies that this machine's own apt uses. */
export async function aptProxies(): Promise<string[]> {
  try {
    const { stdout } = await run(["apt-config", "dump", "--no-empty", "Acquire::http::Proxy", "Acquire::https::Proxy"]);
    return stdout.split("\n").filter((line) => line !== "");
  } catch (error) {
    if (error instanceof ProcessError) return []; // a machine without apt has no proxies of apt's
    throw error;
  }
}
