import { Failure } from "../../manifests/failure.ts";
import type { Verb } from "../../terminal/verb.ts";
import { argument, clientOf, SOCKET_OPTION } from "./answer.ts";
import { readInput } from "./input.ts";
import { driftLines } from "./show-config.ts";

export const verb: Verb = {
  name: "secret set",
  summary: "set a secret from standard input; templates name it {{ secret.NAME }}, nothing ever shows it",
  arguments: [{ name: "<name>", summary: "NAME for every app of the node, APP/NAME for one alone" }],
  options: [SOCKET_OPTION],
  examples: ["hostd secret set shop/db_password < password.txt"],
  async run(invocation) {
    const secret = argument(invocation, 0);
    if (process.stdin.isTTY) {
      throw new Failure("usage", "bad-input", "standard input: expected the secret, found a terminal", {
        hint: `hostd secret set ${secret} < FILE`,
      });
    }
    const value = (await readInput()).replace(/\r?\n$/, "");
    if (value === "") {
      throw new Failure("usage", "bad-input", "standard input: expected the secret, found nothing", {
        hint: `hostd secret set ${secret} < FILE, hostd secret forget ${secret} ends the name`,
      });
    }
    const config = await clientOf(invocation).setSecret(secret, value);
    return { json: config, text: [`set ${secret}: revision ${config.revision}`, ...driftLines(config)].join("\n") };
  },
};
