import { withBundle } from "../fleet/install/bundle.ts";
import { describeInstalled, type Installed, install } from "../fleet/install/install.ts";
import { addressOf, silentHostd } from "../fleet/nodes/ask.ts";
import { readInventory, selectNodes } from "../fleet/nodes/inventory.ts";
import { withinLimit, withSession } from "../fleet/push/session.ts";
import type { Verb } from "../terminal/verb.ts";
import { fleetOf } from "./fleet-options.ts";
import { bundleOf, bundleOption } from "./install-options.ts";
import { oneAfterTheOther } from "./on-node.ts";

export const verb: Verb = {
  name: "node update",
  summary: "bring the installed hostd of nodes to this version, up or down; the first that fails ends it",
  arguments: [{ name: "<node...>", summary: "nodes and groups, in this order" }],
  options: [bundleOption],
  examples: ["ostler node update web-1 web", "ostler node update web-1 --bundle dist"],
  async run(invocation) {
    const { options, progress, signal } = invocation;
    const [words] = invocation.arguments;
    const nodes = selectNodes(await readInventory(fleetOf(invocation).inventory), Array.isArray(words) ? words : []);
    return await withBundle(bundleOf(options), (bundle) =>
      oneAfterTheOther(nodes, signal, async (node) => {
        const { name, destination } = node;
        const installed: Installed = await withSession(addressOf(node), { signal }, async (session) => {
          const result = await install(session, { destination, bundle, settings: undefined, progress, signal });
          const asked = withinLimit(session.socket, signal, (client) => client.status());
          await asked.catch(silentHostd(name, `ssh ${destination} systemctl status hostd`));
          return result;
        });
        return { json: installed, text: describeInstalled(name, installed) };
      }),
    );
  },
};
