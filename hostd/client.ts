import { request as send } from "node:http";
import { hostname, userInfo } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod";
import { hasErrno } from "../effects/errno.ts";
import { type FailureBundle, failureBundleSchema } from "../manifests/bundle.ts";
import {
  type CareDocument,
  careDocumentSchema,
  type PruneDocument,
  pruneDocumentSchema,
  type SnapshotCheck,
  type SnapshotsDocument,
  snapshotCheckSchema,
  snapshotsDocumentSchema,
} from "../manifests/care.ts";
import { type CollectDocument, parseCollect } from "../manifests/collect.ts";
import {
  type AppConfig,
  appConfigSchema,
  type ConfigDiff,
  type ConfigHistory,
  configDiffSchema,
  configHistorySchema,
  type NodeConfig,
  nodeConfigSchema,
} from "../manifests/config.ts";
import { checkDocument } from "../manifests/document.ts";
import { type EventsDocument, eventsDocumentSchema } from "../manifests/event.ts";
import { Failure, type FailureDocument } from "../manifests/failure.ts";
import {
  type AppStatus,
  appStatusSchema,
  type ChangesDocument,
  changesDocumentSchema,
  failureSchema,
  type HealthDocument,
  healthDocumentSchema,
  type LogDocument,
  logDocumentSchema,
  type OperationDocument,
  parseOperation,
  parseStatus,
  type StatusDocument,
} from "../manifests/node.ts";
import { parseUpdate, type UpdateDocument } from "../manifests/update.ts";
import type { Progress } from "../terminal/progress.ts";
import { HostdError } from "./error.ts";

const DEFAULT_SOCKET = "/run/hostd/hostd.sock";

/** How long one request of a wait is held open, milliseconds; the wait itself is as long as the operation. */
const WAIT = 20_000;
/** How often a crowded socket is tried, and the pause that grows with each, milliseconds. */
const ATTEMPTS = 8;
const PAUSE = 25;
const ANSWER_LIMIT = 64 * 1024 * 1024;

/** hostd as a caller sees it. Every answer is checked; every refusal is thrown as the Failure that hostd meant. */
export interface Client {
  status(): Promise<StatusDocument>;
  app(app: string): Promise<AppStatus>;
  changes(filter: { app?: string | undefined; limit?: number | undefined }): Promise<ChangesDocument>;
  /** Of the event log, oldest first: the first after an id, else the newest. */
  events(filter: { app?: string | undefined; after?: number; limit: number }): Promise<EventsDocument>;
  health(): Promise<HealthDocument>;
  /** What a channel, hostd's own unless one is named, has for an app. */
  check(app: string, channel?: string): Promise<UpdateDocument>;
  operation(id: number): Promise<OperationDocument>;
  failure(id: number): Promise<FailureBundle>;
  logs(app: string, of?: { generation?: string | undefined; slot?: string | undefined }): Promise<LogDocument>;
  /** Prometheus' text. */
  metrics(): Promise<string>;
  collect(): Promise<CollectDocument>;
  /** Begins an operation: `stage`, `activate`, `deploy`, `rollback`, `snapshot`. */
  begin(app: string, verb: string, body: Record<string, unknown>): Promise<OperationDocument>;
  abort(id: number): Promise<OperationDocument>;
  /** Confirms the host's upgrade. */
  confirm(): Promise<OperationDocument>;
  pin(app: string, image: string, reason: string | undefined): Promise<AppStatus>;
  /** `until`: RFC 3339; for good where it is undefined. */
  hold(app: string, reason: string, until: string | undefined): Promise<AppStatus>;
  unhold(app: string): Promise<AppStatus>;
  release(image: string): Promise<StatusDocument>;
  snapshots(app: string): Promise<SnapshotsDocument>;
  verifySnapshot(app: string, id: string): Promise<SnapshotCheck>;
  fsck(repair: boolean): Promise<CareDocument>;
  planPrune(keep: string | undefined): Promise<PruneDocument>;
  config(): Promise<NodeConfig>;
  appConfig(app: string): Promise<AppConfig>;
  configDiff(app: string, image?: string): Promise<ConfigDiff>;
  configHistory(filter: { subject?: string | undefined; limit?: number | undefined }): Promise<ConfigHistory>;
  setLayer(layer: string, file: string, text: string): Promise<NodeConfig>;
  setSecret(name: string, value: string): Promise<NodeConfig>;
  forgetSecret(name: string): Promise<NodeConfig>;
  /** Follows an operation to its end, or to the moment the signal is aborted: then it goes on without us. */
  wait(operation: OperationDocument, progress: Progress, signal: AbortSignal): Promise<OperationDocument>;
}

/** hostd behind a socket; whoever waits for an answer is let go once the signal is aborted (`left`). */
export function openClient(socket = process.env["HOSTD_SOCKET"] ?? DEFAULT_SOCKET, leaving?: AbortSignal): Client {
  const get = (path: string, signal = leaving) => call(socket, "GET", path, undefined, signal);
  const post = (path: string, body: object) => call(socket, "POST", path, { by: caller(), ...body }, leaving);
  return {
    status: async () => parseStatus(await get("/v1/status")),
    app: async (app) => checkDocument(await get(`/v1/apps/${name(app)}`), appStatusSchema, "app status"),
    changes: async ({ app, limit = 50 }) => {
      const query = new URLSearchParams({ limit: String(limit), ...(app === undefined ? {} : { app }) });
      return checkDocument(await get(`/v1/changes?${query}`), changesDocumentSchema, "changes");
    },
    async events({ app, after, limit }) {
      const given = { ...(app === undefined ? {} : { app }), ...(after === undefined ? {} : { after: String(after) }) };
      const query = new URLSearchParams({ limit: String(limit), ...given });
      return checkDocument(await get(`/v1/events?${query}`), eventsDocumentSchema, "events");
    },
    health: async () => checkDocument(await get("/v1/health"), healthDocumentSchema, "health"),
    async check(app, channel) {
      const query = channel === undefined ? "" : `?channel=${name(channel)}`;
      return parseUpdate(await get(`/v1/apps/${name(app)}/check${query}`));
    },
    operation: async (id) => parseOperation(await get(`/v1/operations/${id}`)),
    failure: async (id) =>
      checkDocument(await get(`/v1/operations/${id}/failure`), failureBundleSchema, "failure bundle"),
    async logs(app, { generation, slot } = {}) {
      const given = { ...(generation === undefined ? {} : { generation }), ...(slot === undefined ? {} : { slot }) };
      const answer = await get(`/v1/apps/${name(app)}/logs?${new URLSearchParams(given)}`);
      return checkDocument(answer, logDocumentSchema, "logs");
    },
    metrics: () => ask(socket, "GET", "/v1/metrics", undefined, leaving),
    collect: async () => parseCollect(await get("/v1/collect")),
    begin: async (app, verb, body) => parseOperation(await post(`/v1/apps/${name(app)}/${verb}`, body)),
    abort: async (id) => parseOperation(await post(`/v1/operations/${id}/abort`, {})),
    confirm: async () => parseOperation(await post("/v1/host/confirm", {})),
    async pin(app, image, reason) {
      const body = { image, ...(reason === undefined ? {} : { reason }) };
      const answer = await call(socket, "POST", `/v1/apps/${name(app)}/pin`, body, leaving);
      return checkDocument(answer, appStatusSchema, "app status");
    },
    async hold(app, reason, until) {
      const body = { reason, ...(until === undefined ? {} : { until }) };
      return checkDocument(await post(`/v1/apps/${name(app)}/hold`, body), appStatusSchema, "app status");
    },
    unhold: async (app) => checkDocument(await post(`/v1/apps/${name(app)}/unhold`, {}), appStatusSchema, "app status"),
    snapshots: async (app) =>
      checkDocument(await get(`/v1/apps/${name(app)}/snapshots`), snapshotsDocumentSchema, "snapshots"),
    async verifySnapshot(app, id) {
      const answer = await post(`/v1/apps/${name(app)}/snapshots/${name(id)}/verify`, {});
      return checkDocument(answer, snapshotCheckSchema, "snapshot check");
    },
    fsck: async (repair) => checkDocument(await post("/v1/fsck", { repair }), careDocumentSchema, "fsck"),
    planPrune: async (keep) => {
      const query = keep === undefined ? "" : `?keep=${name(keep)}`;
      return checkDocument(await get(`/v1/prune${query}`), pruneDocumentSchema, "prune");
    },
    config: async () => toNodeConfig(await get("/v1/config")),
    appConfig: async (app) => checkDocument(await get(`/v1/apps/${name(app)}/config`), appConfigSchema, "config"),
    async configDiff(app, image) {
      const query = image === undefined ? "" : `?image=${name(image)}`;
      return checkDocument(await get(`/v1/apps/${name(app)}/config/diff${query}`), configDiffSchema, "config diff");
    },
    async configHistory({ subject, limit = 50 }) {
      const query = new URLSearchParams({ limit: String(limit), ...(subject === undefined ? {} : { subject }) });
      return checkDocument(await get(`/v1/config/history?${query}`), configHistorySchema, "config history");
    },
    setLayer: async (layer, file, text) => toNodeConfig(await post("/v1/config/layers", { layer, file, text })),
    setSecret: async (secret, value) => toNodeConfig(await post("/v1/secrets", { name: secret, value })),
    forgetSecret: async (secret) => toNodeConfig(await post("/v1/secrets/forget", { name: secret })),
    release: async (image) => parseStatus(await post("/v1/release", { image })),
    async wait(operation, progress, signal) {
      let last = operation;
      while (last.finished === undefined && !signal.aborted) {
        report(last, progress);
        try {
          last = parseOperation(await get(`/v1/operations/${last.id}?wait=${WAIT}`, signal));
        } catch (error) {
          if (!signal.aborted) throw error;
        }
      }
      report(last, progress);
      return last;
    },
  };
}

function toNodeConfig(answer: unknown): NodeConfig {
  return checkDocument(answer, nodeConfigSchema, "config");
}

/** Who asks, for the history: the person behind sudo where there is one. The socket is its owner's alone. */
export function caller(): string {
  return `${process.env["SUDO_USER"] ?? userInfo().username}@${hostname()}`.slice(0, 128);
}

function name(word: string): string {
  return encodeURIComponent(word);
}

function report(operation: OperationDocument, progress: Progress): void {
  const id = `operation-${operation.id}`;
  const about = `${operation.kind} ${operation.app}${operation.version === undefined ? "" : ` ${operation.version}`}`;
  const took =
    operation.finished === undefined ? {} : { took: Date.parse(operation.finished) - Date.parse(operation.started) };
  const fraction = operation.progress?.fraction;
  const text = {
    running: `${about}: ${operation.progress?.text ?? "under way"}`,
    reverting: `${about}: ${operation.progress?.text ?? "taking it back"}`,
    done: about,
    failed: `${about}: ${operation.reason?.message}`,
  }[operation.state];
  const state = operation.state === "done" || operation.state === "failed" ? operation.state : "started";
  progress({ id, state, text, ...took, ...(fraction === undefined ? {} : { fraction }) });
}

async function call(
  socket: string,
  method: string,
  path: string,
  body?: object,
  signal?: AbortSignal,
): Promise<unknown> {
  return JSON.parse(await ask(socket, method, path, body, signal));
}

/** The text of a good answer; a refusal is thrown, and `left` where we went before it came. */
async function ask(socket: string, method: string, path: string, body?: object, signal?: AbortSignal): Promise<string> {
  const { status, text } = await exchangeAgain(socket, method, path, body, signal).catch((error) => {
    if (signal?.aborted === true) throw left(socket, method, error);
    if (!hasErrno(error, "ENOENT", "ECONNREFUSED", "EACCES", "ENOTSOCK")) throw error;
    throw unanswered(socket, error);
  });
  if (status < 400) return text;
  const answer: unknown = JSON.parse(text);
  throw toFailure(checkDocument(answer, z.object({ error: failureSchema }), "hostd's refusal").error);
}

/**
 * Asks once more where a crowd was in the way: EAGAIN is a full queue, which nothing was sent into; a connection that
 * ends under a question harms nobody when it is asked again.
 */
async function exchangeAgain(
  socket: string,
  method: string,
  path: string,
  body: object | undefined,
  signal?: AbortSignal,
) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await exchange(socket, method, path, body, signal);
    } catch (error) {
      const crowd = hasErrno(error, "EAGAIN") || (method === "GET" && hasErrno(error, "ECONNRESET", "EPIPE"));
      if (!crowd || attempt === ATTEMPTS) throw error;
      await delay(PAUSE * attempt);
    }
  }
}

function exchange(socket: string, method: string, path: string, body: object | undefined, signal?: AbortSignal) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const options = { socketPath: socket, method, path, headers, agent: false as const };
    const request = send(signal === undefined ? options : { ...options, signal }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > ANSWER_LIMIT) request.destroy(new Error(`expected at most ${ANSWER_LIMIT} bytes from ${socket}`));
        chunks.push(chunk);
      });
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
    });
    request.on("error", reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function left(socket: string, method: string, cause: unknown): HostdError {
  const message = `left before hostd answered on ${socket}`;
  if (method === "GET") return new HostdError("left", message, { cause });
  return new HostdError("left", `${message}: what was asked for may have begun, and then it goes on`, {
    cause,
    hint: "hostd changes shows each operation that began",
  });
}

function unanswered(socket: string, cause: NodeJS.ErrnoException): HostdError {
  if (cause.code === "EACCES") {
    return new HostdError("not-permitted", `${socket}: not allowed to open hostd's socket`, {
      cause,
      hint: "its owner may: try as root",
    });
  }
  return new HostdError("not-running", `hostd is not running: nobody answers on ${socket}`, {
    cause,
    hint: "hostd serve starts it; --socket names another socket",
  });
}

function toFailure(document: FailureDocument): Failure {
  const { hint, details } = document;
  return new Failure(document.outcome, document.code, document.message, { hint, details });
}
