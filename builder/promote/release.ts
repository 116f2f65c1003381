import type { ConfigFile } from "../../manifests/app.ts";
import type { Descriptor, ImageConfig } from "../../manifests/image.ts";
import type { Policy } from "../../manifests/policy.ts";
import { type Release, VERSION } from "../../manifests/release.ts";
import { isRead, parseTemplate } from "../../manifests/template.ts";
import { PromoteError } from "./error.ts";

const VERSION_LABEL = "org.opencontainers.image.version";

/** What a release is decided from. */
export interface ReleaseRequest {
  product: string;
  channel: string;
  image: Descriptor;
  config: ImageConfig;
  /** The channel's signed release so far. */
  previous: Release | undefined;
  policy: Policy;
  version?: string | undefined;
  /** Values that change; the others stay as the previous release has them. */
  values: Readonly<Record<string, string>>;
  now: Date;
}

/**
 * The next release of a product, or undefined where the previous one already says the same. The sequence rises by one,
 * or to the policy's floor; the version is the one asked for, the image's own label, or the sequence. Throws PromoteError
 * `bad-version`.
 */
export function decideRelease(request: ReleaseRequest): Release | undefined {
  const { product, channel, image, previous, policy } = request;
  const config = { ...previous?.config, ...request.values };
  const isSame =
    previous?.image.digest === image.digest &&
    sameValues(previous.config, config) &&
    (request.version ?? previous.version) === previous.version;
  if (isSame) return undefined;
  const sequence = Math.max((previous?.sequence ?? 0) + 1, policy.channels[channel]?.floors[product] ?? 0);
  return {
    schema: 1,
    product,
    channel,
    sequence,
    version: checkVersion(request.version ?? request.config.config.Labels?.[VERSION_LABEL] ?? String(sequence)),
    image: { digest: image.digest, size: image.size },
    config,
    created: request.now.toISOString(),
  };
}

/** Names of values that no template of the image reads: most likely a slip of the pen. */
export function unreadValues(values: Readonly<Record<string, string>>, files: readonly ConfigFile[]): string[] {
  const pieces = files.flatMap(({ template }) => parseTemplate(template));
  const paths = pieces.flatMap((piece) => (typeof piece === "string" ? [] : [piece.path]));
  return Object.keys(values).filter((name) => !isRead(name, paths));
}

function checkVersion(version: string): string {
  if (VERSION.test(version)) return version;
  const found = JSON.stringify(version.slice(0, 200));
  throw new PromoteError("bad-version", `version: expected 1 to 128 letters, digits and . + : ~ _ -, got ${found}`, {
    hint: `name it with --version, or in the recipe: LABEL ${VERSION_LABEL}=1.2.0`,
  });
}

function sameValues(one: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(other);
  return names.length === Object.keys(one).length && names.every((name) => one[name] === other[name]);
}
