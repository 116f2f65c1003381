import { resolve } from "node:path";
import { type Bundle, withBundle } from "../fleet/install/bundle.ts";
import { describeInstalled, type Installed, install, type Settings } from "../fleet/install/install.ts";
import { silentHostd } from "../fleet/nodes/ask.ts";
import { addNode, changeInventory, checkNames, readInventory } from "../fleet/nodes/inventory.ts";
import { type NodeAddress, withinLimit, withSession } from "../fleet/push/session.ts";
import { argument } from "../hostd/verbs/answer.ts";
import { Failure } from "../manifests/failure.ts";
import type { Node } from "../manifests/inventory.ts";
import type { Invocation, Verb } from "../terminal/verb.ts";
import { fleetOf } from "./fleet-options.ts";
import { bundleOf, bundleOption, settingsOf } from "./install-options.ts";
import { stringOption } from "./trust-options.ts";

export const verb: Verb = {
  name: "node add",
  summary:
    "reach a node over SSH, and keep it with its host key in the inventory; with --install put hostd on it first",
  arguments: [{ name: "<destination>", summary: "as ssh knows it: root@node-1, or a Host of ssh_config" }],
  options: [
    { flags: "--name <name>", summary: "what it is called here (default: its own host name)" },
    { flags: "--group <group...>", summary: "groups that it is in" },
    { flags: "--install", summary: "install hostd on it, or bring the one that was installed to this version" },
    bundleOption,
    {
      flags: "--remote <location>",
      summary: "installed: where its updates come from, a URL or a directory of its own that is pushed to",
      default: "/var/lib/hostd/repository",
    },
    {
      flags: "--channel <channel>",
      summary: "installed: the channel that it takes releases of",
      default: "production",
    },
    { flags: "--ssh-config <file>", summary: "another configuration than ssh's own" },
    { flags: "--remote-socket <path>", summary: "its hostd's socket", default: "/run/hostd/hostd.sock" },
    { flags: "--remote-state <dir>", summary: "its hostd's state directory", default: "/var/lib/hostd" },
  ],
  examples: [
    "ostler node add root@web-1.example.org --install --group web",
    "ostler node add web-2 --name web-2 --group web canary",
  ],
  async run(invocation) {
    const { options } = invocation;
    const destination = argument(invocation, 0);
    if (destination.startsWith("-")) {
      throw new Failure("usage", "bad-argument", `expected a destination of ssh, got ${destination}`);
    }
    const given = options["group"] === undefined ? undefined : [...new Set([options["group"]].flat().map(String))];
    const name = stringOption(options, "name");
    checkNames([...(name === undefined ? [] : [name]), ...(given ?? [])]);
    const config = stringOption(options, "sshConfig");
    const sshConfig = config === undefined ? undefined : resolve(config);
    const address = { destination, sshConfig, socket: stringOption(options, "remoteSocket") ?? "" };
    const { inventory: file } = fleetOf(invocation);
    const named = (key: string, known: Node | undefined, hostname: string) => ({
      name: name ?? known?.name ?? hostname.toLowerCase(),
      destination,
      key,
      groups: given ?? known?.groups ?? [],
      ...(sshConfig === undefined ? {} : { sshConfig }),
      socket: address.socket,
      state: stringOption(options, "remoteState"),
    });
    const refuse = async (key: string) => {
      const inventory = await readInventory(file);
      const known = inventory.nodes.find((node) => node.key === key);
      if (known !== undefined || name !== undefined) addNode(inventory, named(key, known, ""));
      return known;
    };
    const { key, known, hostname, installed } = await reach(invocation, address, refuse);
    const node = named(key, known, hostname);
    await changeInventory(file, (inventory) => addNode(inventory, node));
    const isIn = node.groups.length === 0 ? "" : `, in ${node.groups.join(", ")}`;
    return {
      json: { schema: 1, node, ...(installed === undefined ? {} : { installed }) },
      text: [
        ...(installed === undefined ? [] : [describeInstalled(node.name, installed)]),
        `${node.name}: ${destination}, host key ${node.key}${isIn}`,
      ].join("\n"),
    };
  },
};

interface Reached {
  key: string;
  /** What the inventory has of it already. */
  known: Node | undefined;
  hostname: string;
  installed: Installed | undefined;
}

/** `refuse` is asked before anything is changed there. */
async function reach(
  invocation: Invocation,
  address: NodeAddress,
  refuse: (key: string) => Promise<Node | undefined>,
): Promise<Reached> {
  const { options, progress, signal } = invocation;
  const { destination } = address;
  const through = (installing?: { bundle: Bundle; settings: Settings }) =>
    withSession(address, { signal }, async (session) => {
      const known = await refuse(session.hostKey);
      const installed = installing && (await install(session, { destination, ...installing, progress, signal }));
      const hint = `ostler node add ${destination} --install puts it there; where it is there: ssh ${destination} systemctl status hostd`;
      const asked = withinLimit(session.socket, signal, (client) => client.collect());
      const { machine } = await asked.catch(silentHostd(destination, hint));
      return { key: session.hostKey, known, hostname: machine.hostname, installed };
    });
  if (options["install"] === true) {
    const settings = await settingsOf(options, fleetOf(invocation).trust);
    return await withBundle(bundleOf(options), (bundle) => through({ bundle, settings }));
  }
  if (options["bundle"] === undefined) return await through();
  throw new Failure("usage", "bad-option", "--bundle: expected --install beside it", {
    hint: "ostler node add --help",
  });
}
