import { canonicalJson } from "../../manifests/document.ts";
import type { Identity, Network } from "../../manifests/identity.ts";

/** A file of the node's /etc that comes from its identity; `link` is the target of a symlink. */
export type IdentityFile = { path: string } & ({ text: string; mode: number } | { link: string });

/** Where a node without a repository of its own looks: what is pushed over SSH is put there. */
const LOCAL_REPOSITORY = "/var/lib/hostd/repository";

/**
 * The files below /etc that make a node this node. They lie under every version's own /etc, so an update changes none
 * of them; what the node makes itself, machine-id and host keys, joins them at its first start. `data` is the driver of
 * apps' data that the disk is made for, as `hostd serve --data` takes it.
 */
export function identityFiles(identity: Identity, options: { data?: string } = {}): IdentityFile[] {
  const { hostName, authorizedKeys, network, timeZone, root } = identity;
  const file = (path: string, lines: readonly string[]) => ({ path, text: `${lines.join("\n")}\n`, mode: 0o644 });
  return [
    file("hostname", [hostName]),
    file("hosts", ["127.0.0.1 localhost", "::1 localhost", `127.0.1.1 ${namesOf(hostName)}`]),
    { path: "localtime", link: `../usr/share/zoneinfo/${timeZone}` },
    ...Object.entries(authorizedKeys).map(([user, keys]) => file(`ssh/authorized_keys.d/${user}`, keys)),
    file("systemd/network/10-node.network", networkLines(network)),
    file("hostd/serve.env", [serveOptions(identity, options.data)]),
    ...(root === undefined ? [] : [{ path: "hostd/root.json", text: canonicalJson(root), mode: 0o644 }]),
  ];
}

/** The full name and, where it has dots, the short one. */
function namesOf(hostName: string): string {
  const short = hostName.split(".")[0] ?? hostName;
  return short === hostName ? hostName : `${hostName} ${short}`;
}

/** systemd.network(5). */
function networkLines(network: Network): string[] {
  const match = ["[Match]", `Name=${network.interface}`, "", "[Network]", "LLMNR=no", "MulticastDNS=no"];
  if (network.kind === "dhcp") return [...match, "DHCP=yes"];
  return [
    ...match,
    "DHCP=no",
    ...network.addresses.map((address) => `Address=${address}`),
    ...network.gateways.map((gateway) => `Gateway=${gateway}`),
    ...network.dns.map((server) => `DNS=${server}`),
  ];
}

/** systemd.exec(5), EnvironmentFile: one value in double quotes; neither an address nor a channel has any. */
function serveOptions({ repository, root }: Identity, data: string | undefined): string {
  const place = repository?.address ?? LOCAL_REPOSITORY;
  const channel = repository?.channel ?? "production";
  const { follow, between } = repository ?? {};
  const followed =
    follow === undefined ? [] : ["--follow", follow, ...(between === undefined ? [] : ["--between", between])];
  const trusted = root === undefined ? [] : ["--root", "/etc/hostd/root.json"];
  const driver = data === undefined ? [] : ["--data", data];
  return `HOSTD_OPTIONS="${["--repository", place, "--channel", channel, ...trusted, ...driver, ...followed].join(" ")}"`;
}
