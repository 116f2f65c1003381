import type { Limits, Listen } from "../../../manifests/app.ts";
import { EXIT_BY_SIGNAL, SIGTERM } from "../../../manifests/signal.ts";
import { SANDBOX_TASKS } from "../launch.ts";
import { instanceOf } from "../paths.ts";
import { PROGRAMS } from "../programs.ts";
import { quoteCommandLine } from "./quote.ts";

/** Runtime units: systemd forgets them at a reboot, and hostd makes them again. */
export const UNIT_DIRECTORY = "/run/systemd/system";

const DEFAULT_RUN = "/run/hostd";

/** Milliseconds beyond an app's own stop timeout after which systemd kills its steward too. */
const STOP_RESERVE = 10_000;

/** Connections that wait while no generation accepts them; the kernel's own limit may be lower (somaxconn). */
const BACKLOG = 4096;

/**
 * The sandbox needs to mount, to make namespaces and to become the app's user; the app itself gets none of this
 * (enter.pl). DAC: data and config of an app lie below directories that are root's alone. KILL: the steward ends the app.
 */
const CAPABILITIES = ["SYS_ADMIN", "SETUID", "SETGID", "SETPCAP", "DAC_OVERRIDE", "KILL"];

/** Tasks of a unit that are not the app's: the sandbox and steward.pl. */
export const UNIT_TASKS = SANDBOX_TASKS + 1;

/** What holds for the sandbox and for all that runs in it. User and network namespaces stay out of reach. */
const HARDENING = [
  "NoNewPrivileges=yes",
  `CapabilityBoundingSet=${CAPABILITIES.map((name) => `CAP_${name}`).join(" ")}`,
  "SystemCallFilter=@system-service @mount",
  "SystemCallErrorNumber=EPERM",
  "SystemCallArchitectures=native",
  "RestrictNamespaces=mnt pid ipc uts cgroup",
  "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
  "RestrictRealtime=yes",
  "RestrictSUIDSGID=yes",
  "LockPersonality=yes",
  "KeyringMode=private",
  "UMask=0022",
];

/** One generation as a service: what a unit file is made from. */
export interface ServiceSpec {
  app: string;
  generation: number;
  /** The app's run directory, where steward.pl finds its input and leaves its records. */
  directory: string;
  /** What makes the sandbox (launchCommand). */
  command: readonly string[];
  /** In the order in which the app gets them. */
  sockets: readonly Listen[];
  stopTimeout: number;
  stopSignal?: number | undefined;
  limits?: Limits | undefined;
}

/** Names of an app's units. Another run directory than the usual one gets names of its own. */
export function unitNames(runDirectory: string, app: string) {
  const prefix = runDirectory === DEFAULT_RUN ? "hostd-app-" : `hostd-${instanceOf(runDirectory)}-app-`;
  return {
    service: (generation: number) => `${prefix}${app}@${generation}.service`,
    socket: (listen: Listen) => `${prefix}${app}@${socketName(listen)}.socket`,
    hold: (listen: Listen) => `${prefix}${app}@${socketName(listen)}.service`,
    /** All of them, as systemctl takes a pattern. */
    all: `${prefix}${app}@*`,
    isOwn: (name: string) => name.startsWith(`${prefix}${app}@`),
  };
}

export type UnitNames = ReturnType<typeof unitNames>;

/** A socket's name in LISTEN_FDNAMES, which is split at colons: `8080-0.0.0.0`. */
function socketName({ address, port }: Listen): string {
  return `${port}-${address.replaceAll(":", "_")}`;
}

/**
 * A generation's service. steward.pl is its main process and says READY when the app was executed, so the result of
 * the start job tells whether it was. hostd alone decides about restarts.
 */
export function serviceUnit(spec: ServiceSpec, names: UnitNames): string {
  const { app, generation, directory, sockets, stopTimeout, stopSignal = SIGTERM.number, limits = {} } = spec;
  const order = sockets.map(socketName).join(":");
  const steward = ["/usr/bin/perl", PROGRAMS.steward, directory, String(generation), String(stopTimeout), order];
  return unitText({
    Unit: [`Description=${app}, generation ${generation}`, "CollectMode=inactive-or-failed", "StartLimitIntervalSec=0"],
    Service: [
      "Type=notify",
      "NotifyAccess=main",
      `ExecStart=${quoteCommandLine([...steward, ...spec.command])}`,
      ...(sockets.length === 0 ? [] : [`Sockets=${sockets.map(names.socket).join(" ")}`]),
      "KillMode=mixed",
      `TimeoutStopSec=${stopTimeout + STOP_RESERVE}ms`,
      `SuccessExitStatus=${EXIT_BY_SIGNAL + stopSignal}`,
      "StandardInput=null",
      "StandardOutput=journal",
      "StandardError=journal",
      `SyslogIdentifier=${app}`,
      // hostd decides what becomes of an app that lost a process, and steward.pl tells it.
      "OOMPolicy=continue",
      ...limitLines(limits),
      ...HARDENING,
    ],
  });
}

/** `files` is set in the sandbox (enter.pl), for the app alone. */
function limitLines({ memory, cpu, tasks }: Limits): string[] {
  return [
    ...(memory === undefined ? [] : [`MemoryMax=${memory}`, "MemorySwapMax=0"]),
    ...(cpu === undefined ? [] : [`CPUQuota=${cpu}%`]),
    ...(tasks === undefined ? [] : [`TasksMax=${tasks + UNIT_TASKS}`]),
  ];
}

/**
 * One LISTEN socket. Service= names a unit that does nothing: what waits in the backlog while no generation runs must
 * not start one (units that share a socket, systemd.socket).
 */
export function socketUnit(app: string, listen: Listen, names: UnitNames): string {
  const address = listen.address.includes(":") ? `[${listen.address}]` : listen.address;
  return unitText({
    Unit: [`Description=port ${listen.port} of ${app}`],
    Socket: [
      `ListenStream=${address}:${listen.port}`,
      `Backlog=${BACKLOG}`,
      `FileDescriptorName=${socketName(listen)}`,
      `Service=${names.hold(listen)}`,
      "TriggerLimitIntervalSec=0",
    ],
  });
}

/** What a connection starts that comes while no generation runs: nothing, and it goes with its socket. */
export function holdUnit(app: string, listen: Listen, names: UnitNames): string {
  const socket = names.socket(listen);
  return unitText({
    Unit: [
      `Description=requests to port ${listen.port} of ${app} wait`,
      `BindsTo=${socket}`,
      `After=${socket}`,
      "StartLimitIntervalSec=0",
    ],
    Service: ["Type=oneshot", "RemainAfterExit=yes", "ExecStart=/bin/true"],
  });
}

/** Sections in order, each a list of `Name=value` lines. */
export function unitText(sections: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(sections)
    .map(([section, lines]) => `[${section}]\n${lines.join("\n")}\n`)
    .join("\n");
}
