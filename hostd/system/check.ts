import { type LookupAddress, lookup } from "node:dns";
import { request } from "node:http";
import { createConnection, type LookupFunction, type NetConnectOpts } from "node:net";
import type { Health } from "../../manifests/app.ts";
import { describeExit } from "../exit.ts";
import { checkFile, lookBelow } from "./check-file.ts";
import { checkUnit } from "./check-unit.ts";
import { runEntered } from "./entered.ts";
import { besideCommand } from "./launch.ts";
import type { HealthResult, Running } from "./node.ts";
import { environmentOf, workdirOf } from "./proc.ts";

/** Bytes of an answer's body that are kept for the detail. */
const BODY_LIMIT = 4096;

const LOOPBACK: [LookupAddress, LookupAddress] = [
  { address: "127.0.0.1", family: 4 },
  { address: "::1", family: 6 },
];

type Verdict = Omit<HealthResult, "took">;

/** One health check of one running generation, once. Every failure of the app is a value. */
export async function checkHealth(
  health: Health,
  running: Running | undefined,
  user: number,
  probe?: string,
): Promise<HealthResult> {
  const started = performance.now();
  const verdict = await judge(health, running, user, probe);
  return { ...verdict, took: Math.round(performance.now() - started) };
}

async function judge(
  health: Health,
  running: Running | undefined,
  user: number,
  probe: string | undefined,
): Promise<Verdict> {
  // A held socket takes connections for a dead app too, so life is asked first.
  if (running === undefined) return { ok: false, detail: "not running" };
  if (running.exited !== undefined) return { ok: false, detail: `ended: ${describeExit(running.exited)}` };
  const own = probe === undefined || !isAsked(health) ? undefined : await socketOf(running.pid, probe);
  if (own !== undefined && "ok" in own) return own;
  switch (health.kind) {
    case "http":
      return checkHttp(health.url, own, health.timeout);
    case "tcp":
      return checkTcp(own ?? { host: health.host, port: health.port, lookup: lookupHost }, health.timeout);
    case "exec":
      return checkExec(health.command, running.pid, user, health.timeout);
    case "unit":
      return checkUnit(health.unit, health.timeout);
    case "file":
      return checkFile(health, `/proc/${running.pid}/root`);
  }
}

function isAsked({ kind }: Health): boolean {
  return kind === "http" || kind === "tcp";
}

/** A generation's own unix socket, as this process reaches it: its /run and /tmp are in its mount namespace alone. */
async function socketOf(pid: number, probe: string): Promise<{ path: string } | Verdict> {
  const root = `/proc/${pid}/root`;
  const found = await lookBelow(root, probe);
  if (found === undefined) return { ok: false, detail: `${probe} is not there yet` };
  return found.isSocket() ? { path: `${root}${probe}` } : { ok: false, detail: `${probe} is no socket` };
}

export function checkHttp(url: string, own: { path: string } | undefined, timeout: number): Promise<Verdict> {
  return new Promise((resolve) => {
    const where = own === undefined ? { lookup: lookupHost } : { socketPath: own.path };
    const call = request(url, { agent: false, headers: { connection: "close" }, ...where });
    const timer = setTimeout(() => call.destroy(new Error(`no answer within ${timeout} ms`)), timeout);
    const settle = (verdict: Verdict) => {
      clearTimeout(timer);
      resolve(verdict);
    };
    call.on("error", (error) => settle({ ok: false, detail: describeError(error) }));
    call.on("response", (response) => {
      const status = response.statusCode ?? 0;
      const ok = status >= 200 && status <= 299;
      let body = Buffer.alloc(0);
      const finish = () => {
        const text = ok ? "" : oneLine(body.toString());
        settle({ ok, detail: `${status} ${response.statusMessage ?? ""}${text === "" ? "" : `: ${text}`}`.trim() });
        call.destroy();
      };
      response.on("data", (chunk: Buffer) => {
        body = Buffer.concat([body, chunk]).subarray(0, BODY_LIMIT);
        if (body.length === BODY_LIMIT) finish();
      });
      response.on("end", finish);
      response.on("error", (error) => settle({ ok: false, detail: describeError(error) }));
    });
    call.end();
  });
}

export function checkTcp(to: NetConnectOpts, timeout: number): Promise<Verdict> {
  return new Promise((resolve) => {
    const socket = createConnection(to);
    const timer = setTimeout(() => socket.destroy(new Error(`no connection within ${timeout} ms`)), timeout);
    const settle = (verdict: Verdict) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(verdict);
    };
    socket.once("connect", () =>
      settle({ ok: true, detail: `connected to ${"path" in to ? "its probe" : `${to.host}:${to.port}`}` }),
    );
    socket.on("error", (error) => settle({ ok: false, detail: describeError(error) }));
  });
}

async function checkExec(command: readonly string[], pid: number, user: number, timeout: number): Promise<Verdict> {
  const { LISTEN_FDS: _fds, LISTEN_PID: _pid, ...env } = await environmentOf(pid);
  const program = { command, env, workdir: await workdirOf(pid) };
  const { exitCode, output, timedOut } = await runEntered(besideCommand(pid), program, user, timeout);
  const said = oneLine(output);
  if (timedOut) return { ok: false, detail: `no end within ${timeout} ms` };
  return { ok: exitCode === 0, detail: `exit code ${exitCode}${said === "" ? "" : `: ${said}`}` };
}

/** `localhost` is this machine (RFC 6761) also where no /etc/hosts says so, as on a bare Debian. */
export const lookupHost: LookupFunction = (name, options, answer) => {
  if (name !== "localhost") return lookup(name, options, answer);
  if (options.all === true) answer(null, LOOPBACK);
  else answer(null, LOOPBACK[0].address, LOOPBACK[0].family);
};

/** A name with several addresses fails with one error for each. */
function describeError(error: Error): string {
  if (error instanceof AggregateError) return error.errors.map((one: Error) => one.message).join("; ");
  return error.message;
}

export function oneLine(text: string): string {
  return text.trim().replace(/\s+/g, " ").slice(0, 300);
}
