import type { Verb } from "../../terminal/verb.ts";
import { clientOf, SOCKET_OPTION, text } from "./answer.ts";
import { showAppConfig, showNodeConfig } from "./show-config.ts";

export const verb: Verb = {
  name: "config show",
  summary: "the values that hold on this node, or for one app, and which apps run with something else",
  arguments: [{ name: "[app]", summary: "one app (default: what all apps share)" }],
  options: [SOCKET_OPTION, { flags: "--origin", summary: "the layer, file and line that each value comes from" }],
  examples: ["hostd config show", "hostd config show shop --origin"],
  async run(invocation) {
    const app = text(invocation.arguments[0]);
    const origin = invocation.options["origin"] === true;
    const client = clientOf(invocation);
    if (app === undefined) {
      const config = await client.config();
      return { json: config, text: showNodeConfig(config, origin) };
    }
    const config = await client.appConfig(app);
    return { json: config, text: showAppConfig(config, origin) };
  },
};
