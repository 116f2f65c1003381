import { type CareDocument, type Damage, unrepaired } from "../../manifests/care.ts";
import { EXIT_CODES } from "../../manifests/failure.ts";
import type { Verb } from "../../terminal/verb.ts";
import { clientOf, SOCKET_OPTION } from "./answer.ts";

export const verb: Verb = {
  name: "fsck",
  summary: "verify every layer on the disk; --repair fetches again only what is bad",
  options: [SOCKET_OPTION, { flags: "--repair", summary: "fetch and lay down again what is bad" }],
  examples: ["hostd fsck", "hostd fsck --repair"],
  async run(invocation) {
    const report = await clientOf(invocation).fsck(invocation.options["repair"] === true);
    const bad = unrepaired(report).length > 0;
    return { json: report, text: showCare(report), exitCode: bad ? EXIT_CODES.failed : EXIT_CODES.ok };
  },
};

function showCare(report: CareDocument): string {
  const { layers, bytes, damaged } = report;
  const checked = `${layers} layers, ${(bytes / 1e6).toFixed(0)} MB checked`;
  if (damaged.length === 0) return `${checked}: all sound`;
  const left = unrepaired(report).length;
  const hint = left > 0 && damaged.every(({ reason }) => reason === undefined) ? ["hint: hostd fsck --repair"] : [];
  return [`${checked}: ${damaged.length} damaged, ${left} left`, ...damaged.map(showDamage), ...hint].join("\n");
}

function showDamage({ message, slots, repaired, reason }: Damage): string {
  const how = repaired
    ? "repaired; what runs on it takes the sound file at its next start"
    : (reason ?? "not repaired");
  return `  ${slots.join(", ")}: ${message}\n    ${how}`;
}
