import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join, normalize } from "node:path";
import { Failure } from "../manifests/failure.ts";
import { unlessMissing } from "./errno.ts";

/** Bytes read at once from files and sockets: smaller reads cost a third of the throughput. */
export const READ_SIZE = 1024 * 1024;

export type SourceErrorCode = "source-unreachable" | "source-too-large" | "source-path";

/** A repository that could not be read; what it holds is never trusted, whatever it answers. */
export class SourceError extends Failure {
  declare readonly code: SourceErrorCode;
  constructor(code: SourceErrorCode, message: string, cause?: unknown) {
    super("failed", code, message, {
      cause,
      hint: "check that the repository's directory or address is right, and that it answers",
    });
  }
}

/** Read access to a static repository, by paths relative to its root. */
export interface Source {
  readonly location: string;
  /** A whole file of at most `limit` bytes; undefined where there is none. The signal ends it at once. */
  read(path: string, limit: number, signal?: AbortSignal): Promise<Buffer | undefined>;
  /** A file from byte `offset` on; undefined where there is none. The signal ends it at once, also where nothing comes. */
  stream(path: string, offset?: number, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** Where a file of a directory lies, or would lie, on this machine; undefined for a server's. */
  fileOf(path: string): string | undefined;
}

/** The same repository, all of whose reads the signal ends, also where a server stands still. */
export function endedBy(signal: AbortSignal, source: Source): Source {
  return { ...source, read: (path, limit) => source.read(path, limit, signal) };
}

/** Opens a directory, a file: URL or an http(s): URL of a static file server. Reads nothing yet. */
export function openSource(location: string): Source {
  const directory = /^https?:/.test(location) ? undefined : location.replace(/^file:\/\//, "");
  const open = directory === undefined ? openUrl : openFile;
  const addressOf = (path: string) => {
    const checked = checkPath(path);
    return directory === undefined ? `${location.replace(/\/$/, "")}/${checked}` : join(directory, checked);
  };
  return {
    location,
    fileOf: (path) => (directory === undefined ? undefined : addressOf(path)),
    stream: (path, offset = 0, signal) => openNamed(open, addressOf(path), offset, signal),
    async read(path, limit, signal) {
      const chunks = await openNamed(open, addressOf(path), 0, signal);
      if (chunks === undefined) return undefined;
      const kept: Uint8Array[] = [];
      let size = 0;
      for await (const chunk of chunks) {
        size += chunk.length;
        if (size > limit)
          throw new SourceError("source-too-large", `${location}/${path}: expected at most ${limit} bytes`);
        kept.push(chunk);
      }
      return Buffer.concat(kept);
    },
  };
}

type Open = (address: string, offset: number, signal?: AbortSignal) => Promise<AsyncIterable<Uint8Array> | undefined>;

/** Whatever goes wrong before the first byte or after it is told with the address; an abort as what it was given. */
async function openNamed(open: Open, address: string, offset: number, signal?: AbortSignal) {
  try {
    const chunks = await open(address, offset, signal);
    return chunks && readNamed(chunks, address, signal);
  } catch (error) {
    throw unreachable(address, error as Error, signal);
  }
}

async function* readNamed(chunks: AsyncIterable<Uint8Array>, address: string, signal?: AbortSignal) {
  try {
    yield* chunks;
  } catch (error) {
    throw unreachable(address, error as Error, signal);
  }
}

/** Node's fetch says what happened in the cause alone. */
function unreachable(address: string, error: Error, signal?: AbortSignal): unknown {
  if (signal?.aborted) return signal.reason;
  const { message, cause } = error;
  const why = cause instanceof Error ? `: ${cause.message || (cause as NodeJS.ErrnoException).code}` : "";
  return new SourceError("source-unreachable", `${address}: ${message}${why}`, error);
}

/** Regular files alone: a read of a pipe that nobody writes would hold up the process beyond its end. */
const openFile: Open = async (file, offset) => {
  const found = await unlessMissing(stat(file));
  if (found === undefined) return undefined;
  if (!found.isFile()) throw new Error("expected a regular file, got another kind");
  return createReadStream(file, { start: Math.min(offset, found.size), highWaterMark: READ_SIZE });
};

const openUrl: Open = async (url, offset, signal) => {
  const headers = offset > 0 ? { range: `bytes=${offset}-` } : {};
  const response = await fetch(url, { headers, redirect: "error", ...(signal === undefined ? {} : { signal }) });
  if (response.status === 404 || response.body === null) return undefined;
  if (!response.ok) throw new Error(`expected status 200, got ${response.status}`);
  return skip(response.body, offset > 0 && response.status !== 206 ? offset : 0);
};

async function* skip(chunks: AsyncIterable<Uint8Array>, bytes: number): AsyncIterable<Uint8Array> {
  let left = bytes;
  for await (const chunk of chunks) {
    if (left < chunk.length) yield left > 0 ? chunk.subarray(left) : chunk;
    left = Math.max(0, left - chunk.length);
  }
}

function checkPath(path: string): string {
  const normal = normalize(path);
  if (normal !== path || path.startsWith("/") || path.startsWith("..")) {
    throw new SourceError("source-path", `expected a plain relative path, got ${JSON.stringify(path)}`);
  }
  return path;
}
