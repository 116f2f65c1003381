import type { Invocation, Verb } from "../../terminal/verb.ts";
import { type ServeOptions, serve } from "../serve.ts";
import { HOSTD_PLACE } from "../system/paths.ts";
import { text } from "./answer.ts";

export const verb: Verb = {
  name: "serve",
  summary: "run the daemon; apps outlive it",
  options: [
    { flags: "--state <dir>", summary: "what survives a reboot", default: "/var/lib/hostd" },
    { flags: "--run <dir>", summary: "socket, mounts and sockets held for apps", default: "/run/hostd" },
    { flags: "--repository <location>", summary: "directory or http(s) address of the repository" },
    { flags: "--root <file>", summary: "root.json to trust, given once, on the first start" },
    { flags: "--channel <name>", summary: "channel that is staged unless a request names one", default: "production" },
    {
      flags: "--follow <how>",
      summary: "stage, or activate, what the channel releases for the apps here, found at each --care; or no",
      default: "no",
    },
    { flags: "--between <times>", summary: "when --follow activate switches, in the node's own time: 02:00-05:00" },
    { flags: "--keep <count>", summary: "newest versions kept per app", default: "3" },
    { flags: "--launcher <name>", summary: "systemd, bubblewrap, or auto: what starts apps", default: "auto" },
    {
      flags: "--on-sick <policy>",
      summary: "report, restart, or rollback: once an app that was good is sick",
      default: "restart",
    },
    { flags: "--reserve <megabytes>", summary: "room that staging and snapshots leave free", default: "256" },
    { flags: "--rate <bytes>", summary: "most bytes per second that staging fetches: 500k, 10M" },
    { flags: "--stagings <count>", summary: "stagings that fetch or lay down at once; the others wait", default: "2" },
    {
      flags: "--data <place>",
      summary: "where data of apps is kept: auto (btrfs or plain copies, as the disk is) or lvm:VG/POOL",
      default: "auto",
    },
    { flags: "--snapshots <count>", summary: "most snapshots of one app", default: "12" },
    { flags: "--snapshot-bytes <bytes>", summary: "most bytes of one app's snapshots: 500M, 20G" },
    { flags: "--snapshot-ttl <time>", summary: "how long hostd keeps those it took itself, or never", default: "14d" },
    {
      flags: "--secrets-key <file>",
      summary: "32 random bytes or more that seal secrets (default: one made beside them)",
    },
    {
      flags: "--checks <dir>",
      summary: "the host's own scripts: required.d, wanted.d, green.d, red.d",
      default: "/etc/hostd/checks",
    },
    {
      flags: "--vendor-checks <dir>",
      summary: "scripts that came with the host; one of the same name in --checks goes first",
      default: `${HOSTD_PLACE}/checks`,
    },
    { flags: "--check-timeout <seconds>", summary: "longest that one script may take", default: "60" },
    {
      flags: "--care <time>",
      summary: "how often journal, versions and snapshots are looked after",
      default: "1h",
    },
    { flags: "--scrub <time>", summary: "how often every layer is read whole", default: "7d" },
    { flags: "--machine <dir>", summary: "where /proc, /sys and /efi of the machine are", default: "/" },
  ],
  examples: ["hostd serve --repository https://updates.example/repository --root root.json"],
  async run({ options }) {
    await serve(serveOptions(options));
    return { json: { ended: true }, text: "" };
  },
};

/** The options as they were typed, by name. */
export function serveOptions(options: Invocation["options"]): ServeOptions {
  return {
    stateDirectory: text(options["state"]) ?? "",
    runDirectory: text(options["run"]) ?? "",
    repository: text(options["repository"]),
    root: text(options["root"]),
    channel: text(options["channel"]) ?? "",
    follow: text(options["follow"]) ?? "",
    between: text(options["between"]),
    keep: text(options["keep"]) ?? "",
    launcher: text(options["launcher"]) ?? "",
    onSick: text(options["onSick"]) ?? "",
    reserve: text(options["reserve"]) ?? "",
    rate: text(options["rate"]),
    stagings: text(options["stagings"]) ?? "",
    data: text(options["data"]) ?? "",
    snapshots: text(options["snapshots"]) ?? "",
    snapshotBytes: text(options["snapshotBytes"]),
    snapshotTtl: text(options["snapshotTtl"]) ?? "",
    secretsKey: text(options["secretsKey"]),
    vendorChecks: text(options["vendorChecks"]) ?? "",
    checks: text(options["checks"]) ?? "",
    care: text(options["care"]) ?? "",
    scrub: text(options["scrub"]) ?? "",
    checkTimeout: text(options["checkTimeout"]) ?? "",
    machine: text(options["machine"]) ?? "/",
  };
}
