import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type PackedLayer, packLayer } from "../../images/layer/pack.ts";
import { walkDirectory } from "../../images/layer/walk.ts";
import { openStore, type Store } from "../../images/store.ts";
import { appendEnvelopes } from "../../keys/envelopes.ts";
import { provenanceStatement, signStatement, testResultStatement } from "../../keys/statements.ts";
import { initRepository, publishRelease, publishTargets, readFirstRoot } from "../../keys/tuf/repository.ts";
import { APP_LABEL, type App, type ConfigFile } from "../../manifests/app.ts";
import type { Digest } from "../../manifests/digest.ts";
import { canonicalJson } from "../../manifests/document.ts";
import { type Descriptor, MEDIA_TYPES } from "../../manifests/image.ts";
import { allSigners, makeFoundation, signerOf } from "../foundation.ts";
import { JOB, MIGRATION, makeBase, QUIET, SERVER } from "./app.ts";
import { packBulk, packShop } from "./bulk.ts";

const PROBE = "/run/shop.sock";

/** How a version of the app under test behaves and what it declares. */
/** Milliseconds for one health check of an app that four clients make write at once: a sync of the disk may wait its turn. */
export const PATIENCE = 10_000;

export interface VersionOptions {
  /** Another product than shop. */
  name?: string;
  version: string;
  sequence: number;
  how?: "good" | "sick" | "crash" | "turns-sick" | "ends" | "half" | "greedy" | "stubborn";
  /** It may run beside another version, and has a probe for that. */
  startFirst?: boolean;
  /** It binds its port itself. */
  bindsItself?: boolean;
  /** The job under test in place of the app: how long it takes, how it ends, how long it may take (milliseconds). */
  job?: { seconds: number; exit: number; timeout?: number };
  /** The shop of recipes/ in place of the app under test. */
  shop?: true;
  /** Megabytes that its image holds besides. */
  bulk?: number;
  /** Megabytes in its own layer that no compression makes smaller. */
  noise?: number;
  /** Milliseconds between two health checks, and for one of them. */
  interval?: number;
  timeout?: number;
  hooks?: App["hooks"];
  limits?: App["limits"];
  /** What asks it to end: StopSignal of its image. */
  stopSignal?: string;
  format?: number;
  reads?: string;
  migrate?: "good" | "bad";
  /** How its QUIESCE and RESUME hooks behave; it has none where they are not given. */
  quiesce?: "good" | "bad" | "hang";
  resume?: "good" | "bad";
  greeting?: string;
  declared?: Record<string, string>;
  /** CONFIG files; one with the greeting unless said otherwise. */
  config?: ConfigFile[];
  /** Statements to leave out or to sign with the wrong key. */
  unmarked?: boolean;
  red?: boolean;
  wrongTester?: boolean;
  wrongBuilder?: boolean;
  port: number;
  /** Where it listens; default 127.0.0.1. */
  address?: string;
  within?: number;
  stable?: number;
}

export interface Published {
  image: Digest;
  layers: readonly Descriptor[];
  version: string;
}

/** A real repository: built layers, signed statements, TUF metadata with a delegated channel. */
export interface Publisher {
  directory: string;
  rootFile: string;
  publish(options: VersionOptions): Promise<Published>;
  revoke(image: Digest): Promise<void>;
}

export async function openPublisher(directory: string): Promise<Publisher> {
  const repository = join(directory, "repository");
  await initRepository({ directory: repository, signers: allSigners, now: new Date() }, makeFoundation());
  const rootFile = join(directory, "root.json");
  writeFileSync(rootFile, await readFirstRoot(repository));
  const store = await openStore(join(repository, "oci"));
  makeBase(join(directory, "base"));
  const base = await packLayer(store, await walkDirectory(join(directory, "base")), { section: "base" });
  const packed = new Map<string, Promise<PackedLayer>>();
  const once = (name: string, pack: () => Promise<PackedLayer>) => {
    const layer = packed.get(name) ?? pack();
    packed.set(name, layer);
    return layer;
  };
  return {
    directory: repository,
    rootFile,
    async publish(options) {
      const { shop, bulk } = options;
      const layer = await packVersion(directory, store, options);
      const more = [
        ...(shop === undefined ? [] : [await once("shop", () => packShop(directory, store))]),
        ...(bulk === undefined ? [] : [await once(`bulk ${bulk}`, () => packBulk(directory, store, bulk))]),
      ];
      const image = await writeImage(store, [base, ...more, layer], options);
      await appendEnvelopes(repository, image.digest, envelopesOf(image.digest, options));
      await publishRelease(
        { directory: repository, signers: allSigners, now: new Date() },
        {
          schema: 1,
          product: options.name ?? "shop",
          channel: "production",
          sequence: options.sequence,
          version: options.version,
          image: { digest: image.digest, size: image.size },
          config: options.declared ?? { greeting: options.greeting ?? "hello" },
          created: new Date().toISOString(),
        },
      );
      return { image: image.digest, layers: [base.descriptor, layer.descriptor], version: options.version };
    },
    async revoke(image) {
      const { policy } = makeFoundation();
      const change = { policy: { ...policy, revoked: [{ digest: image, reason: "leaks orders" }] } };
      await publishTargets({ directory: repository, signers: allSigners, now: new Date() }, change);
    },
  };
}

async function packVersion(directory: string, store: Store, options: VersionOptions): Promise<PackedLayer> {
  const tree = join(directory, `tree-${options.version}-${options.sequence}`);
  mkdirSync(join(tree, "opt"), { recursive: true });
  writeFileSync(join(tree, "opt/server.pl"), SERVER);
  writeFileSync(join(tree, "opt/migrate.pl"), MIGRATION);
  writeFileSync(join(tree, "opt/quiet.pl"), QUIET);
  writeFileSync(join(tree, "opt/job.pl"), JOB);
  if (options.noise !== undefined) writeFileSync(join(tree, "opt/noise"), randomBytes(options.noise * 1_000_000));
  writeFileSync(join(tree, "opt/version"), `${options.version} ${options.sequence}`);
  return await packLayer(store, await walkDirectory(tree), { section: "deploy" });
}

async function writeImage(store: Store, layers: readonly PackedLayer[], options: VersionOptions) {
  const config = {
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    config: {
      Env: ["PATH=/usr/bin", `SHOP_PROBE=${options.startFirst === true ? PROBE : ""}`],
      Entrypoint: entrypointOf(options),
      StopSignal: options.stopSignal,
      Labels: { [APP_LABEL]: canonicalJson(appOf(options)) },
    },
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
  };
  const written = await store.write(Buffer.from(canonicalJson(config)));
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.manifest,
    config: { mediaType: MEDIA_TYPES.config, ...written },
    layers: layers.map(({ descriptor }) => descriptor),
  };
  return await store.write(Buffer.from(canonicalJson(manifest)));
}

function entrypointOf(options: VersionOptions): string[] {
  const { shop, job, version, how = "good" } = options;
  if (shop !== undefined) return ["/usr/bin/node", "/opt/shop/src/server.mjs"];
  if (job !== undefined) return ["/usr/bin/perl", "/opt/job.pl", version, String(job.seconds), String(job.exit)];
  return ["/usr/bin/perl", "/opt/server.pl", version, how, ...probeOf(options)];
}

function probeOf({ startFirst, bindsItself, port }: VersionOptions): string[] {
  return [startFirst === true ? PROBE : "", ...(bindsItself === true ? [String(port)] : [])];
}

function appOf(options: VersionOptions): App {
  const { port, format = 1, reads, job } = options;
  return {
    schema: 1,
    name: options.name ?? "shop",
    listen:
      options.bindsItself === true || job !== undefined ? [] : [{ port, address: options.address ?? "127.0.0.1" }],
    ...(job === undefined ? {} : { job: { timeout: job.timeout ?? 60_000 } }),
    health:
      job !== undefined
        ? []
        : [
            {
              kind: "http",
              url: `http://127.0.0.1:${port}/healthz`,
              interval: options.interval ?? 100,
              timeout: options.timeout ?? 1_000,
              within: options.within ?? 5_000,
              stable: options.stable ?? 400,
            },
          ],
    data: [
      {
        path: "/var/lib/shop",
        format,
        ...(reads === undefined ? {} : { reads }),
        ...(options.startFirst === true ? { shared: true } : {}),
      },
    ],
    config: [
      ...(options.config ?? [{ path: "/etc/shop/greeting", template: "{{ greeting }}" }]),
      ...(options.shop === undefined
        ? []
        : [{ path: "/etc/shop/config.json", template: '{"greeting":"{{ greeting }}"}' }]),
    ],
    hooks: { ...hooksOf(options), ...options.hooks },
    ...(options.startFirst === true ? { switch: { order: "start-first", probe: PROBE } } : {}),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    stopTimeout: options.shop === undefined ? 2_000 : 10_000,
  };
}

function hooksOf({ format = 1, port, migrate, quiesce, resume }: VersionOptions): App["hooks"] {
  const hook = (timeout: number, ...command: string[]) => ({ command: ["/usr/bin/perl", ...command], timeout });
  const quiet = (what: string, how: string) =>
    hook(how === "hang" ? 1_000 : 10_000, "/opt/quiet.pl", String(port), what, how);
  return {
    ...(migrate === undefined ? {} : { migrate: hook(10_000, "/opt/migrate.pl", String(format), migrate) }),
    ...(quiesce === undefined ? {} : { quiesce: quiet("quiet", quiesce) }),
    ...(resume === undefined ? {} : { resume: quiet("loud", resume) }),
  };
}

function envelopesOf(image: Digest, options: VersionOptions) {
  const now = new Date();
  const built = provenanceStatement(image, {
    name: options.name ?? "shop",
    recipe: { name: "shop.recipe", digest: image },
    commit: "0".repeat(40),
    clean: true,
    bases: {},
    formatVersion: 1,
    epoch: 0,
    network: [],
    builderVersion: "test",
    startedOn: now,
    finishedOn: now,
  });
  const tested = testResultStatement(image, {
    name: options.name ?? "shop",
    suites: [{ name: "shop", digest: image }],
    passed: options.red === true ? [] : ["it works"],
    failed: options.red === true ? ["it works"] : [],
  });
  const builder = signerOf(options.wrongBuilder === true ? "tester" : "builder");
  const tester = signerOf(options.wrongTester === true ? "stranger" : "tester");
  const envelopes = [signStatement(built, builder)];
  return options.unmarked === true ? envelopes : [...envelopes, signStatement(tested, tester)];
}
