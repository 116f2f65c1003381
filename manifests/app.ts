import * as z from "zod";

/** The OCI config label that carries an image's app document as canonical JSON. */
export const APP_LABEL = "dev.ostler.app";

const command = z.array(z.string()).min(1);
const milliseconds = z.int().nonnegative();
const absolutePath = z.string().regex(/^\/(?!.*(?:^|\/)\.\.(?:\/|$))/, "expected an absolute path without ..");
export const UNIT_NAME =
  /^[A-Za-z0-9:_.\\@-]+\.(?:service|socket|mount|timer|target|path|device|swap|slice|scope|automount)$/;

/** Units that may not end while hostd tells others. */
export function isHostdUnit(unit: string): boolean {
  return /^hostd(?:-exchange)?\.service$/.test(unit);
}

const unitName = z
  .string()
  .max(255)
  .regex(UNIT_NAME, "expected a systemd unit: letters, digits, : _ . \\ @ - and a suffix such as .service")
  .refine((unit) => !isHostdUnit(unit), "hostd tells units, and cannot be told to start again in the middle of it");

export const listenSchema = z.strictObject({
  /** TCP port that hostd keeps open across switches; the app gets it as LISTEN_FDS, in recipe order from fd 3. */
  port: z.int().min(1).max(65535),
  address: z.string().default("0.0.0.0"),
});

const window = {
  interval: milliseconds.default(1_000),
  timeout: milliseconds.default(2_000),
  /** Healthy within this long after the start (design section 6: A). */
  within: milliseconds.default(30_000),
  /** Then healthy without a break for this long (B). */
  stable: milliseconds.default(10_000),
};

export const healthSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("http"), url: z.url({ protocol: /^http$/ }), ...window }),
  z.strictObject({ kind: z.literal("tcp"), host: z.string(), port: z.int().min(1).max(65535), ...window }),
  z.strictObject({ kind: z.literal("exec"), command, ...window }),
  /** A systemd unit of the node that must be active. */
  z.strictObject({ kind: z.literal("unit"), unit: unitName, ...window }),
  /** A path as the app sees it, in its data or its root; with `maxAge` it must have been written within that time. */
  z.strictObject({ kind: z.literal("file"), path: absolutePath, maxAge: z.int().positive().optional(), ...window }),
]);

const dataSchema = z.strictObject({
  path: absolutePath,
  /** Data format this image writes: a whole number, compared as the semver `N.0.0`. */
  format: z.int().positive().default(1),
  /** semver range of formats this image can read; the default is its own format alone. */
  reads: z.string().optional(),
  /** Two versions of the app may have it open at the same time. */
  shared: z.boolean().optional(),
});

/** Signals that ask a program to read its files again. */
export const RELOAD_SIGNALS = ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH"] as const;

/** Characters. */
export const TEMPLATE_LIMIT = 65_536;

const configFileSchema = z.strictObject({
  path: absolutePath,
  /** Template text (manifests/template.ts), taken into the image document at build time. */
  template: z.string().max(TEMPLATE_LIMIT),
  /** Where only such files change, the app is not started again: it gets this signal once they are there. */
  reload: z.enum(RELOAD_SIGNALS).optional(),
  /** Of a host: the systemd unit that is reloaded, or started again, once the file is there. */
  unit: unitName.optional(),
});

/** A unix socket in a directory that each generation has for itself; short, since hostd reaches it through /proc. */
export const PROBE_PATH = /^\/(?:run|tmp)\/(?!.*(?:^|\/)\.\.(?:\/|$))[\x21-\x7e]{1,75}$/;

const switchSchema = z.strictObject({
  /** `start-first`: a new version may run beside the one it replaces, on the same LISTEN sockets. */
  order: z.enum(["stop-first", "start-first"]),
  /** Where http and tcp checks of a LISTEN port reach this generation alone while two share the port. */
  probe: z.string().regex(PROBE_PATH, "expected a path below /run or /tmp, at most 80 characters").optional(),
});

/** What the processes of an app may use together, `files` each of them. */
const limitsSchema = z.strictObject({
  /** Bytes. */
  memory: z.int().positive().optional(),
  /** Percent of one processor. */
  cpu: z.int().positive().optional(),
  /** Processes and threads. */
  tasks: z.int().positive().optional(),
  /** Open files of one process. */
  files: z.int().positive().optional(),
});

const hookSchema = z.strictObject({ command, timeout: milliseconds.default(60_000) });

/** What hostd needs to run an image: parsed from the label APP_LABEL of a verified image config. */
export const appSchema = z
  .strictObject({
    schema: z.literal(1),
    /** Product name: `shop`. */
    name: z
      .string()
      .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "expected lower-case letters, digits and -, 1 to 63"),
    listen: z.array(listenSchema).default([]),
    health: z.array(healthSchema).default([]),
    data: z.array(dataSchema).max(1, "expected at most one DATA path").default([]),
    config: z.array(configFileSchema).default([]),
    hooks: z
      .strictObject({
        drain: hookSchema,
        migrate: hookSchema,
        ready: hookSchema,
        reverted: hookSchema,
        /** Makes the app write nothing to its data until `resume`; with it a snapshot needs no stop. */
        quiesce: hookSchema,
        /** Lets it write again; also run when it was not quiesced. */
        resume: hookSchema,
      })
      .partial()
      .default({}),
    /** Where it is absent: stop-first. */
    switch: switchSchema.optional(),
    /** A job: it runs to its end once, and its exit code is the verdict. Absent: a service, which goes on. */
    job: z.strictObject({ timeout: z.int().positive() }).optional(),
    limits: limitsSchema.optional(),
    /** Longest time from the image's StopSignal (SIGTERM) to SIGKILL when the app is stopped. */
    stopTimeout: milliseconds.default(10_000),
  })
  .refine(({ job, listen, health, switch: order, hooks, config }) => {
    const ofService = [
      listen.length,
      health.length,
      order,
      hooks.drain,
      hooks.quiesce,
      config.find((one) => one.reload ?? one.unit),
    ];
    return job === undefined || !ofService.some(Boolean);
  }, "expected a job without listen, health, switch, drain, quiesce and reload: those are of a service alone");

export type App = z.infer<typeof appSchema>;
export type Listen = z.infer<typeof listenSchema>;
export type Health = z.infer<typeof healthSchema>;
export type DataPath = z.infer<typeof dataSchema>;
export type ConfigFile = z.infer<typeof configFileSchema>;
export type Limits = z.infer<typeof limitsSchema>;
export type Signal = (typeof RELOAD_SIGNALS)[number];
export type Hook = z.infer<typeof hookSchema>;

/** The TCP port that an http or tcp check asks; undefined for the other kinds. */
export function portOf(check: Health): number | undefined {
  if (check.kind === "tcp") return check.port;
  return check.kind === "http" ? Number(new URL(check.url).port || 80) : undefined;
}

export const appExample: App = {
  schema: 1,
  name: "shop",
  listen: [{ port: 8080, address: "0.0.0.0" }],
  health: [
    {
      kind: "http",
      url: "http://localhost:8080/healthz",
      interval: 1000,
      timeout: 2000,
      within: 30_000,
      stable: 10_000,
    },
  ],
  data: [{ path: "/var/lib/shop", format: 2, reads: ">=1 <3" }],
  config: [{ path: "/etc/shop/config.json", template: '{"greeting":"{{ greeting }}"}' }],
  hooks: { migrate: { command: ["/usr/bin/node", "/opt/shop/src/migrate.mjs"], timeout: 60_000 } },
  stopTimeout: 10_000,
};
