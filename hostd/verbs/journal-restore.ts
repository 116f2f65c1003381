import type { Verb } from "../../terminal/verb.ts";
import { restoreJournal } from "../journal/restore.ts";
import { journalIn, STATE_OPTION } from "./journal-check.ts";

export const verb: Verb = {
  name: "journal restore",
  summary: "put the copy in the place of a damaged journal, which stays beside it",
  options: [
    STATE_OPTION,
    { flags: "--accept-loss", summary: "also where the copy lacks changes that the journal had" },
  ],
  examples: ["hostd journal restore", "hostd journal restore --accept-loss"],
  async run({ options }) {
    const acceptLoss = options["acceptLoss"] === true;
    const report = await restoreJournal(journalIn(options["state"]), { acceptLoss, now: new Date() });
    const { journal, kept, copy } = report;
    return {
      json: { schema: 1, ...report },
      text: `${journal} is what it was at ${copy?.until}; the damaged one is ${kept}\nhint: start hostd anew: systemctl restart hostd`,
    };
  },
};
