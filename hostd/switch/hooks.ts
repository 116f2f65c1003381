import type { App, Hook } from "../../manifests/app.ts";
import { HostdError, type HostdErrorCode } from "../error.ts";
import { type Context, launchable } from "../operations/context.ts";
import { mountSlot, specOf } from "./launch.ts";

type HookName = keyof App["hooks"];

const OUTPUT_SHOWN = 2_000;

/**
 * Runs a hook of a generation's image in its sandbox; does nothing where the image declares none. It is killed when the
 * operation is aborted or hostd ends, and throws the reason of that.
 */
export async function runHook(
  context: Context,
  number: number,
  name: HookName,
  code: HostdErrorCode,
): Promise<boolean> {
  const { engine, app } = context;
  const target = launchable(engine, app, number);
  const hook: Hook | undefined = target.app.hooks[name];
  if (hook === undefined) return false;
  const root = await mountSlot(engine, app, target.slot.image);
  const spec = { ...(await specOf(engine, target, root)), command: hook.command, listenFds: 0 };
  const result = await engine.node.runHook({ ...spec, timeoutMs: hook.timeout, signal: context.signal });
  context.signal.throwIfAborted();
  if (result.exitCode === 0 && !result.timedOut) return true;
  const how = result.timedOut ? `took longer than ${hook.timeout} ms` : `exit code ${result.exitCode}`;
  throw new HostdError(code, `${app} ${target.slot.version}: ${name.toUpperCase()} hook failed: ${how}`, {
    details: {
      hook: name,
      exitCode: result.exitCode,
      timedOut: result.timedOut,
      output: result.output.slice(-OUTPUT_SHOWN),
    },
    hint: `hostd changes ${context.id} shows what it printed`,
  });
}
