import { nearest } from "../../terminal/nearest.ts";
import { type Argument, badValue } from "./arguments.ts";
import { type Draft, expandSpan } from "./draft.ts";
import { quote } from "./problem.ts";
import type { Mount, TreeSource } from "./recipe.ts";
import { fail, type Instruction } from "./split.ts";
import { readTreeSource } from "./tree.ts";
import { contextPath, imagePath, oneOf, whole } from "./values.ts";
import { nextWord } from "./words.ts";

const TYPES = ["bind", "cache", "tmpfs", "secret"] as const;
const KEYS = {
  bind: ["source", "target", "from", "readonly", "readwrite"],
  cache: ["id", "target", "sharing", "readonly", "readwrite", "mode", "uid", "gid"],
  tmpfs: ["target", "size"],
  secret: ["id", "target", "env", "required", "mode", "uid", "gid"],
} as const;
const SHORT: Readonly<Record<string, string>> = {
  dst: "target",
  destination: "target",
  src: "source",
  ro: "readonly",
  rw: "readwrite",
};
const SWITCHES = ["readonly", "readwrite", "required"];
const SIZE: Readonly<Record<string, number>> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

interface Field extends Argument {
  key: string;
}

type Fields = ReadonlyMap<string, Field>;

/** The value of one `--mount=`: `type=cache,target=/root/.npm` and the like; the type is bind unless it is said. */
export function readMount(instruction: Instruction, draft: Draft, at: Argument): Mount {
  const fields = readFields(instruction, draft, at);
  const type = typeOf(instruction, fields);
  for (const field of fields.values()) checkKey(instruction, type, field);
  switch (type) {
    case "bind":
      return { type, ...readBind(instruction, draft, fields, at) };
    case "cache":
      return { type, ...readCache(instruction, draft, fields, at) };
    case "tmpfs":
      return { type, target: target(instruction, draft, fields, at), size: readSize(instruction, fields.get("size")) };
    case "secret":
      return { type, ...readSecret(instruction, draft, fields, at) };
  }
}

function readFields(instruction: Instruction, draft: Draft, at: Argument): Fields {
  const { line } = instruction;
  const fields = new Map<string, Field>();
  const next = (from: number) => nextWord(line, from, instruction.escape, ",", at.end);
  for (let part = next(at.start); part !== undefined; part = next(part.end)) {
    const text = expandSpan(draft, instruction, part);
    const equals = text.indexOf("=");
    const written = (equals < 0 ? text : text.slice(0, equals)).trim().toLowerCase();
    const key = SHORT[written] ?? written;
    if (equals < 0 && key !== "type" && !SWITCHES.includes(key)) {
      const message = `${quote(text)} in --mount has no value`;
      fail(instruction, part.start, part.end, { code: "bad-flag", message, expected: `${written || "key"}=VALUE` });
    }
    if (fields.has(key)) {
      fail(instruction, part.start, part.end, { code: "duplicate", message: `${quote(key)} given twice in --mount` });
    }
    fields.set(key, { ...part, key, value: equals < 0 ? "true" : text.slice(equals + 1) });
  }
  return fields;
}

function typeOf(instruction: Instruction, fields: Fields) {
  const at = fields.get("type");
  if (at === undefined) return "bind";
  if (at.value === "ssh") {
    fail(instruction, at.start, at.end, {
      code: "not-supported",
      message: "mounts of type ssh are not supported",
      hint: "give the key as a secret: --mount=type=secret,id=key,target=/root/.ssh/id_ed25519",
    });
  }
  return oneOf(instruction, at, "mount type", TYPES);
}

function checkKey(instruction: Instruction, type: keyof typeof KEYS, field: Field): void {
  const known: readonly string[] = ["type", ...KEYS[type]];
  if (known.includes(field.key)) return;
  const suggestion = nearest(field.key, known);
  const message = `unknown key ${quote(field.key)} in a mount of type ${type}`;
  fail(instruction, field.start, field.end, { code: "bad-flag", message, expected: known.join(", "), suggestion });
}

function readBind(instruction: Instruction, draft: Draft, fields: Fields, at: Argument) {
  const fromField = fields.get("from");
  const from: TreeSource =
    fromField === undefined ? { tree: "context" } : readTreeSource(instruction, draft, fromField);
  const sourceField = fields.get("source") ?? { ...at, value: from.tree === "context" ? "." : "/" };
  const source =
    from.tree === "context"
      ? contextPath(instruction, sourceField, "mount source")
      : imagePath(instruction, sourceField, "/");
  return {
    target: target(instruction, draft, fields, at),
    from,
    source,
    readonly: isReadonly(instruction, fields, true),
  };
}

function readCache(instruction: Instruction, draft: Draft, fields: Fields, at: Argument) {
  const path = target(instruction, draft, fields, at);
  const sharing = fields.get("sharing");
  return {
    target: path,
    id: fields.get("id")?.value || path,
    sharing:
      sharing === undefined
        ? "shared"
        : oneOf(instruction, sharing, "sharing", ["shared", "private", "locked"] as const),
    readonly: isReadonly(instruction, fields, false),
    ...readOwnership(instruction, fields, 0o755),
  };
}

function readSecret(instruction: Instruction, draft: Draft, fields: Fields, at: Argument) {
  const targetField = fields.get("target");
  const env = fields.get("env");
  const id = fields.get("id")?.value ?? targetField?.value.split("/").at(-1) ?? env?.value;
  if (id === undefined || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(id)) {
    badValue(instruction, fields.get("id") ?? at, "the secret has no usable id", { expected: "id=NAME" });
  }
  if (env !== undefined && !/^[A-Za-z_][A-Za-z0-9_]*$/.test(env.value)) {
    badValue(instruction, env, `bad variable name ${quote(env.value)}`);
  }
  const fallback = env === undefined ? `/run/secrets/${id}` : undefined;
  return {
    id: id ?? "",
    target: targetField === undefined ? fallback : target(instruction, draft, fields, at),
    env: env?.value,
    required: readSwitch(instruction, fields.get("required"), true),
    ...readOwnership(instruction, fields, 0o400),
  };
}

function readOwnership(instruction: Instruction, fields: Fields, usual: number) {
  const mode = fields.get("mode");
  if (mode !== undefined && !/^[0-7]{3,4}$/.test(mode.value)) {
    badValue(instruction, mode, `bad mode ${quote(mode.value)}`, { expected: "octal such as 0755" });
  }
  return {
    mode: mode === undefined ? usual : Number.parseInt(mode.value, 8),
    uid: readId(instruction, fields.get("uid")),
    gid: readId(instruction, fields.get("gid")),
  };
}

function readId(instruction: Instruction, at: Field | undefined): number {
  return at === undefined ? 0 : whole(instruction, at, at.key, 0, 4_294_967_294);
}

function target(instruction: Instruction, draft: Draft, fields: Fields, at: Argument): string {
  const field = fields.get("target");
  if (field === undefined) {
    return fail(instruction, at.start, at.end, {
      code: "bad-flag",
      message: "the mount has no target",
      expected: "target=PATH",
    });
  }
  const path = imagePath(instruction, field, draft.scope.workdir);
  if (path === "/") {
    fail(instruction, field.start, field.end, { code: "bad-path", message: "a mount cannot cover the root directory" });
  }
  return path;
}

function isReadonly(instruction: Instruction, fields: Fields, usual: boolean): boolean {
  const writable = fields.get("readwrite");
  if (writable !== undefined) return !readSwitch(instruction, writable, true);
  return readSwitch(instruction, fields.get("readonly"), usual);
}

function readSwitch(instruction: Instruction, at: Field | undefined, usual: boolean): boolean {
  if (at === undefined) return usual;
  return oneOf(instruction, at, at.key, ["true", "false"] as const) === "true";
}

/** `64m`, `1g` or bytes. */
function readSize(instruction: Instruction, at: Field | undefined): number | undefined {
  if (at === undefined) return undefined;
  const [, number, unit = ""] = /^(\d{1,12})([kmg]?)b?$/i.exec(at.value) ?? [];
  const size = Number(number) * (SIZE[unit.toLowerCase()] ?? Number.NaN);
  if (number !== undefined && size >= 1 && Number.isSafeInteger(size)) return size;
  return badValue(instruction, at, `bad size ${quote(at.value)}`, { expected: "bytes, or a size such as 64m" });
}
