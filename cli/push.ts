import { resolve } from "node:path";
import { drive } from "../fleet/push/drive.ts";
import { type Pushed, push } from "../fleet/push/push.ts";
import { answerOf, argument } from "../hostd/verbs/answer.ts";
import { shortDigest } from "../manifests/digest.ts";
import { Failure } from "../manifests/failure.ts";
import { bytes } from "../terminal/table.ts";
import type { Answer, Verb } from "../terminal/verb.ts";
import { homeOption, repositoryOption, stringOption } from "./trust-options.ts";

export const verb: Verb = {
  name: "push",
  summary: "send a node a release over SSH, and with --activate have it switch to it",
  arguments: [{ name: "<product>", summary: "product released in the channel" }],
  options: [
    { flags: "--to <node>", summary: "the node, as ssh knows it: root@node-1, or a Host of ssh_config" },
    { flags: "--channel <channel>", summary: "the release's channel", default: "production" },
    {
      flags: "--image <digest>",
      summary: "not the release but a version of before, for a rollback on the node to bring again",
    },
    { flags: "--activate", summary: "stage and activate it, and follow that to its end" },
    {
      flags: "--confirm-within <seconds>",
      summary: "of a host: have it taken back unless a new connection reaches it in time",
      default: "300",
    },
    { flags: "--ssh-config <file>", summary: "another configuration than ssh's own" },
    {
      flags: "--remote <dir>",
      summary: "what the node's hostd reads as its repository",
      default: "/var/lib/hostd/repository",
    },
    { flags: "--remote-state <dir>", summary: "the state directory of the node's hostd", default: "/var/lib/hostd" },
    { flags: "--remote-socket <path>", summary: "its socket", default: "/run/hostd/hostd.sock" },
    repositoryOption,
  ],
  examples: ["ostler push shop --to root@node-1", "ostler push host --to root@node-1 --activate --confirm-within 180"],
  async run(invocation) {
    const { options, progress, signal } = invocation;
    const destination = stringOption(options, "to");
    if (destination === undefined || destination.startsWith("-")) throw usage("--to", "a node", destination);
    const seconds = Number(stringOption(options, "confirmWithin"));
    if (!Number.isInteger(seconds) || seconds < 1) throw usage("--confirm-within", "whole seconds", String(seconds));
    const config = stringOption(options, "sshConfig");
    const node = {
      destination,
      sshConfig: config === undefined ? undefined : resolve(config),
      socket: stringOption(options, "remoteSocket") ?? "",
    };
    const [product, channel] = [argument(invocation, 0), stringOption(options, "channel") ?? "production"];
    const earlier = stringOption(options, "image");
    if (earlier !== undefined && options["activate"] === true) {
      throw usage("--image", "no --activate beside it: ostler rollback --on NODE goes back", "both");
    }
    const [remote = "", remoteState = ""] = [stringOption(options, "remote"), stringOption(options, "remoteState")];
    const { repository, trust } = homeOption(options);
    const pushed = await push({
      repository,
      trust,
      product,
      channel,
      earlier,
      node,
      remote,
      remoteState,
      now: () => new Date(),
      progress,
      signal,
    });
    if (options["activate"] !== true) return { json: { schema: 1, ...pushed }, text: describe(pushed, destination) };
    const confirmWithin = pushed.host ? seconds : undefined;
    const operation = answerOf(
      await drive({ node, app: product, verb: "deploy", body: { channel }, confirmWithin, progress, signal }),
    );
    return withOperation(pushed, operation, describe(pushed, destination));
  },
};

function withOperation(pushed: Pushed, operation: Answer, text: string): Answer {
  return {
    ...operation,
    json: { schema: 1, ...pushed, operation: operation.json },
    text: `${text}\n${operation.text}`,
  };
}

function describe({ release, image, sent, present }: Pushed, destination: string): string {
  const what = `${release === undefined ? "an earlier version" : `${release.product} ${release.version}`} (${shortDigest(image)})`;
  return `${what}: sent ${bytes(sent.bytes)} in ${sent.files} files to ${destination}; ${present} were there`;
}

function usage(option: string, expected: string, got: string | undefined): Failure {
  return new Failure("usage", "bad-option", `${option}: expected ${expected}, got ${got ?? "nothing"}`, {
    hint: "ostler push --help",
  });
}
