import { resolve } from "node:path";
import { addNode, changeInventory, checkNames } from "../fleet/nodes/inventory.ts";
import { withinLimit, withSession } from "../fleet/push/session.ts";
import { argument } from "../hostd/verbs/answer.ts";
import { Failure } from "../manifests/failure.ts";
import type { Verb } from "../terminal/verb.ts";
import { fleetOf } from "./fleet-options.ts";
import { stringOption } from "./trust-options.ts";

export const verb: Verb = {
  name: "node add",
  summary: "reach a node over SSH, and keep it with its host key in the inventory",
  arguments: [{ name: "<destination>", summary: "as ssh knows it: root@node-1, or a Host of ssh_config" }],
  options: [
    { flags: "--name <name>", summary: "what it is called here (default: its own host name)" },
    { flags: "--group <group...>", summary: "groups that it is in" },
    { flags: "--ssh-config <file>", summary: "another configuration than ssh's own" },
    { flags: "--remote-socket <path>", summary: "its hostd's socket", default: "/run/hostd/hostd.sock" },
    { flags: "--remote-state <dir>", summary: "its hostd's state directory", default: "/var/lib/hostd" },
  ],
  examples: [
    "ostler node add root@web-1.example.org --group web",
    "ostler node add web-2 --name web-2 --group web canary",
  ],
  async run(invocation) {
    const { options, signal } = invocation;
    const destination = argument(invocation, 0);
    if (destination.startsWith("-")) {
      throw new Failure("usage", "bad-argument", `expected a destination of ssh, got ${destination}`);
    }
    const groups = [...new Set([options["group"] ?? []].flat().map(String))];
    const name = stringOption(options, "name");
    checkNames(name === undefined ? groups : [name, ...groups]);
    const config = stringOption(options, "sshConfig");
    const sshConfig = config === undefined ? undefined : resolve(config);
    const socket = stringOption(options, "remoteSocket") ?? "";
    const found = await withSession({ destination, sshConfig, socket }, { signal }, async (session) => {
      const { machine } = await withinLimit(session.socket, signal, (client) => client.collect());
      return { key: session.hostKey, hostname: machine.hostname };
    });
    const node = {
      name: name ?? found.hostname.toLowerCase(),
      destination,
      key: found.key,
      groups,
      ...(sshConfig === undefined ? {} : { sshConfig }),
      socket,
      state: stringOption(options, "remoteState"),
    };
    await changeInventory(fleetOf(invocation).inventory, (inventory) => addNode(inventory, node));
    const isIn = groups.length === 0 ? "" : `, in ${groups.join(", ")}`;
    return { json: { schema: 1, node }, text: `${node.name}: ${destination}, host key ${node.key}${isIn}` };
  },
};
