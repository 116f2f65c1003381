import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { createTransport } from "nodemailer";
import type { Rollout } from "../../manifests/rollout.ts";
import { FleetError } from "../error.ts";
import { headline, showRollout } from "./show.ts";

/** Milliseconds for somebody to take a message, tries, and the pause between two. */
const LIMIT = 20_000;
const TRIES = 3;
const PAUSE = 2_000;

/** Mails how a rollout stands, by the server of $OSTLER_SMTP or of its file, else the machine's own sendmail. Throws `notify`. */
export async function mail(rollout: Rollout, to: readonly string[]): Promise<void> {
  const { from, server: declared } = rollout.file.mail ?? { from: `ostler@${hostname()}` };
  const server = process.env["OSTLER_SMTP"] ?? declared;
  const limits = { connectionTimeout: LIMIT, greetingTimeout: LIMIT, socketTimeout: LIMIT };
  const transport =
    server === undefined ? createTransport({ sendmail: true }) : createTransport({ url: server, ...limits });
  const message = {
    from,
    to: [...to],
    subject: headline(rollout),
    text: `${showRollout(rollout, { columns: 100 })}
`,
  };
  await again(`mail to ${to.join(", ")}`, () => transport.sendMail(message));
  transport.close();
}

/** Posts a rollout's record as JSON, with a `text` that chats show. Throws `notify`. */
export async function post(rollout: Rollout, url: string): Promise<void> {
  const body = JSON.stringify({ text: headline(rollout), rollout });
  await again(`webhook ${new URL(url).host}`, async () => {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(url, {
      method: "POST",
      headers,
      body,
      redirect: "error",
      signal: AbortSignal.timeout(LIMIT),
    });
    await answer.body?.cancel();
    if (!answer.ok) throw new Error(`expected status 2xx, got ${answer.status}`);
  });
}

async function again(what: string, attempt: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (tries === TRIES) throw new FleetError("notify", `${what}: ${wordsOf(error as Error)}`, { cause: error });
      await delay(PAUSE);
    }
  }
}

/** fetch says why in the cause of its error alone. */
function wordsOf({ message, cause }: Error): string {
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}
