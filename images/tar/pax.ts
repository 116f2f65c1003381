import { TarError } from "./error.ts";
import { TAR_LIMITS, XATTR_KEYWORD } from "./format.ts";

/** Keywords and values as latin1 strings of raw bytes. An extended attribute's value is binary. */
export type PaxRecords = ReadonlyMap<string, string>;

/** Keywords that set something in an entry. */
const USED = new Set(["path", "linkpath", "size", "uid", "gid", "mtime"]);

/** Keywords that say nothing an entry holds; any other one would be guessed at, so it is refused. */
const IGNORED = new Set([
  ...["atime", "ctime", "uname", "gname", "comment", "hdrcharset"],
  ...["SCHILY.dev", "SCHILY.ino", "SCHILY.nlink", "LIBARCHIVE.creationtime"],
]);

/** Records in the order of their keywords' bytes: one set of records has one form (POSIX pax, "Extended Header"). */
export function encodePax(records: PaxRecords): Buffer {
  const lines = [...records].sort(([a], [b]) => (a < b ? -1 : 1)).map(([keyword, value]) => encode(keyword, value));
  return Buffer.from(lines.join(""), "latin1");
}

/** Reads `length keyword=value\n` records as bytes. Refuses damaged records and keywords it does not know. */
export function parsePax(bytes: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  let position = 0;
  while (position < bytes.length) {
    const end = endOfRecord(bytes, position);
    const text = bytes.toString("latin1", bytes.indexOf(0x20, position) + 1, end - 1);
    const equals = text.indexOf("=");
    if (equals < 1) throw damaged("expected keyword=value", text);
    const keyword = text.slice(0, equals);
    checkKeyword(keyword);
    if (!IGNORED.has(keyword)) records.set(keyword, text.slice(equals + 1));
    position = end;
  }
  return records;
}

/** The keyword of an attribute; `=` and `%` in its name are escaped as GNU tar does. */
export function xattrKeyword(name: string): string {
  return XATTR_KEYWORD + name.replace(/[%=]/g, (character) => (character === "%" ? "%25" : "%3D"));
}

/** The attribute's name of a keyword. Refuses an escape that GNU tar would not write. */
export function xattrName(keyword: string): string {
  return keyword.slice(XATTR_KEYWORD.length).replace(/%(..)?/gs, (sequence, code) => {
    if (code === "25") return "%";
    if (code === "3D") return "=";
    throw new TarError("tar-attribute", `${keyword}: expected %25 or %3D in a name, got ${sequence}`);
  });
}

function encode(keyword: string, value: string): string {
  const rest = keyword.length + value.length + 3;
  const digits = String(rest + String(rest).length).length;
  return `${rest + digits} ${keyword}=${value}\n`;
}

function endOfRecord(bytes: Buffer, start: number): number {
  const digits = /^([1-9]\d{0,7}) /.exec(bytes.toString("latin1", start, start + 10))?.[1];
  if (digits === undefined) throw damaged("expected a length and a space", bytes.toString("latin1", start, start + 10));
  const end = start + Number(digits);
  if (end <= start + digits.length + 1 || end > bytes.length || bytes[end - 1] !== 0x0a) {
    throw damaged("expected a record that ends with a line break at its length", digits);
  }
  return end;
}

function checkKeyword(keyword: string): void {
  if (USED.has(keyword) || IGNORED.has(keyword)) return;
  if (!keyword.startsWith(XATTR_KEYWORD)) {
    throw new TarError("tar-unsupported", `pax record: expected a known keyword, got ${JSON.stringify(keyword)}`);
  }
  checkXattrName(xattrName(keyword));
}

function checkXattrName(name: string): void {
  const namespace = /^(user|trusted|security)\../s.test(name) || /^system\.posix_acl_(access|default)$/.test(name);
  if (!namespace || name.includes("\0") || name.length > TAR_LIMITS.xattrNameBytes) {
    const known = "user., trusted., security. or system.posix_acl_";
    throw new TarError("tar-attribute", `extended attribute: expected ${known}, got ${JSON.stringify(name)}`);
  }
  if (name.startsWith("trusted.overlay.")) {
    const message = `extended attribute ${name}: expected none of overlayfs's own: a layer says it with .wh. names`;
    throw new TarError("tar-attribute", message);
  }
}

function damaged(expected: string, got: string): TarError {
  return new TarError("tar-damaged", `pax record: ${expected}, got ${JSON.stringify(got.slice(0, 80))}`);
}
