import { showPath } from "../entry.ts";
import { ErofsError } from "./error.ts";
import { ENTRY_LIMITS } from "./limits.ts";

/** Name prefixes that the format knows; an attribute outside them is refused rather than dropped. */
const PREFIXES = [
  { index: 1, prefix: "user.", rest: true },
  { index: 2, prefix: "system.posix_acl_access", rest: false },
  { index: 3, prefix: "system.posix_acl_default", rest: false },
  { index: 4, prefix: "trusted.", rest: true },
  { index: 6, prefix: "security.", rest: true },
] as const;

/** Overlayfs acts on these (redirects, metacopy), so a layer from outside may not bring them. */
const OVERLAY_PREFIX = "trusted.overlay.";

const HEADER_SIZE = 12;
const NONE = Buffer.alloc(0);
const OPAQUE = encodeXattr("", `${OVERLAY_PREFIX}opaque`, Buffer.from("y"));

/** An inode's attributes, sorted by name, without the area's header. Refuses names a layer may not carry. */
export function encodeXattrs(path: string, xattrs: ReadonlyMap<string, Buffer>): Buffer | undefined {
  if (xattrs.size === 0) return undefined;
  const entries = [...xattrs].sort(([a], [b]) => (a < b ? -1 : 1));
  const parts = entries.map(([name, value]) => {
    if (!name.startsWith(OVERLAY_PREFIX)) return encodeXattr(path, name, value);
    throw refuseXattr(path, name, "is overlayfs's own: expected .wh. names for whiteouts and opaque directories");
  });
  const bytes = Buffer.concat(parts);
  // The opaque mark may join them later.
  if (bytes.length + OPAQUE.length <= ENTRY_LIMITS.xattrBytes) return bytes;
  throw new ErofsError(
    "layer-limit",
    `${showPath(path)}: expected at most ${ENTRY_LIMITS.xattrBytes - OPAQUE.length} bytes of extended attributes, got ${bytes.length}`,
  );
}

/** The whole xattr area that follows an inode: empty when there are none, since a header alone is an error. */
export function xattrArea(xattrs: Buffer | undefined, opaque: boolean): Buffer {
  const parts = [...(xattrs === undefined ? [] : [xattrs]), ...(opaque ? [OPAQUE] : [])];
  return parts.length === 0 ? NONE : Buffer.concat([Buffer.alloc(HEADER_SIZE), ...parts]);
}

function encodeXattr(path: string, name: string, value: Buffer): Buffer {
  const known = PREFIXES.find(({ prefix, rest }) => (rest ? name.startsWith(prefix) : name === prefix));
  if (known === undefined) throw refuseXattr(path, name, "is of a namespace that EROFS cannot hold");
  const rest = name.slice(known.prefix.length);
  if (known.rest && (rest === "" || name.length > ENTRY_LIMITS.xattrNameBytes)) {
    throw refuseXattr(path, name, `has a name of ${name.length} bytes: expected more than its prefix, at most 255`);
  }
  if (value.length > ENTRY_LIMITS.xattrValueBytes) {
    throw refuseXattr(path, name, `has ${value.length} bytes: expected at most ${ENTRY_LIMITS.xattrValueBytes}`);
  }
  const used = 4 + rest.length + value.length;
  const entry = Buffer.alloc(Math.ceil(used / 4) * 4);
  entry.writeUInt8(rest.length, 0);
  entry.writeUInt8(known.index, 1);
  entry.writeUInt16LE(value.length, 2);
  entry.write(rest, 4, "latin1");
  value.copy(entry, 4 + rest.length);
  return entry;
}

function refuseXattr(path: string, name: string, why: string): ErofsError {
  return new ErofsError("layer-content", `${showPath(path)}: extended attribute ${showPath(name)} ${why}`);
}
