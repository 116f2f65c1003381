import { Failure } from "../../manifests/failure.ts";
import type { Verb } from "../../terminal/verb.ts";
import { HostdError } from "../error.ts";
import { captureBeside, openBeside } from "../system/inspect.ts";
import { argument, clientOf, SOCKET_OPTION } from "./answer.ts";

const SHELL = "/bin/sh";

export const verb: Verb = {
  name: "inspect",
  summary: "run the host's tools beside an app, in its namespaces; without a command, a shell",
  arguments: [
    { name: "<app>", summary: "the app" },
    { name: "[command...]", summary: "after --: what to run; $APP_ROOT is the app's root" },
  ],
  options: [SOCKET_OPTION],
  examples: [
    "hostd inspect shop",
    "hostd inspect shop -- ps aux",
    "hostd inspect shop -- sh -c 'ls -l $APP_ROOT/var/lib/shop'",
    "hostd inspect shop -- strace -f -p 2",
  ],
  async run(invocation) {
    if (process.getuid?.() !== 0) {
      throw new Failure("failed", "not-root", "entering an app's namespaces needs root", { hint: "run it as root" });
    }
    const app = argument(invocation, 0);
    const status = await clientOf(invocation).app(app);
    if (status.process === undefined) {
      throw new HostdError("unknown-app", `${app} has no running process to look at`, {
        hint: `hostd logs ${app} shows what it wrote last`,
      });
    }
    const given = invocation.arguments[1];
    const command = Array.isArray(given) && given.length > 0 ? given : [process.env["SHELL"] ?? SHELL];
    const { pid } = status.process;
    if (invocation.json) {
      const result = await captureBeside(pid, command);
      return { json: { schema: 1, app, pid, command, ...result }, text: "", exitCode: result.exitCode };
    }
    const exitCode = await openBeside(pid, command);
    return { json: undefined, text: "", streamed: true, exitCode };
  },
};
