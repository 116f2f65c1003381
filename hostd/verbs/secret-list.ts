import { table } from "../../terminal/table.ts";
import type { Verb } from "../../terminal/verb.ts";
import { clientOf, SOCKET_OPTION } from "./answer.ts";

export const verb: Verb = {
  name: "secret list",
  summary: "names of the node's secrets and the revisions that set them",
  options: [SOCKET_OPTION],
  async run(invocation) {
    const { secrets } = await clientOf(invocation).config();
    const rows = secrets.map(({ name, revision }) => [name, String(revision)]);
    return {
      json: { schema: 1, secrets },
      text: rows.length === 0 ? "no secrets" : table(["SECRET", "REVISION"], rows),
    };
  },
};
