import { bootOf } from "../../manifests/boot.ts";
import { type Digest, shortDigest } from "../../manifests/digest.ts";
import { DOCUMENT_LIMITS } from "../../manifests/document.ts";
import { appOf, parseImageConfig, parseManifest, stopSignalOf, verityOf } from "../../manifests/image.ts";
import type { Release } from "../../manifests/release.ts";
import type { Engine } from "../engine.ts";
import { HostdError } from "../error.ts";
import { readBlob } from "./blob.ts";
import { dropDamaged } from "./inbox.ts";

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** What staging knows once the release was verified: everything but the layers' bytes. */
export interface Found {
  image: Release["image"]["digest"];
  sequence: number;
  version: string;
  declared: Record<string, string>;
  manifest: string;
  config: string;
  order?: number | undefined;
}

/** Refuses a release that goes back behind one accepted before, or an image quarantined here. */
export function refuseRelease(engine: Engine, app: string, release: Release): void {
  const known = engine.journal.apps.get(app);
  const floor = known?.floor ?? 0;
  const otherImage = known?.floor_image !== undefined && known.floor_image !== release.image.digest;
  if (release.sequence < floor || (release.sequence === floor && otherImage)) {
    throw new HostdError(
      "sequence-lower",
      `${app}: expected a release after sequence ${floor}, got ${release.sequence} (${release.version})`,
      { hint: "hostd rollback goes back to a version on this node; a release never does", details: { floor } },
    );
  }
  engine.journal.quarantine.refuse(app, release.image.digest);
}

/** What is known of a version before its image is read: from a verified release, or from the journal. */
export type Known = Pick<Release, "version" | "sequence" | "config"> & {
  image: Pick<Release["image"], "digest">;
  /** The operation that brought it before, where it comes again. */
  order?: number;
};

/** Reads and checks the image's manifest and config: kilobytes, by digest, before any layer is asked for. */
export async function identify(
  engine: Pick<Engine, "source" | "stateDirectory">,
  app: string,
  release: Known,
): Promise<Found> {
  const { digest } = release.image;
  const read = (blob: { digest: Digest }, limit: number) =>
    readBlob(engine.source, blob, limit).catch((error: unknown) => dropDamaged(engine, blob.digest, error));
  const manifestBytes = await read(release.image, DOCUMENT_LIMITS.ociManifest);
  const manifest = parseManifest(manifestBytes);
  const configBytes = await read(manifest.config, DOCUMENT_LIMITS.ociConfig);
  const config = parseImageConfig(configBytes);
  const what = `${app} ${release.version} (${shortDigest(digest)})`;

  const expected = ARCHITECTURES[process.arch] ?? process.arch;
  if (config.architecture !== expected || config.os !== "linux") {
    const found = `${config.os}/${config.architecture}`;
    throw new HostdError("wrong-architecture", `${what}: expected linux/${expected}, got ${found}`);
  }
  const declared = appOf(config);
  if (declared?.name !== app) {
    throw new HostdError("wrong-product", `${what}: expected an image of ${app}, got ${declared?.name ?? "no app"}`, {
      hint: "the release names an image that was built from another recipe",
    });
  }
  const boots = bootOf(manifest) !== undefined;
  if (!boots && [...(config.config.Entrypoint ?? []), ...(config.config.Cmd ?? [])].length === 0) {
    throw new HostdError("wrong-product", `${what}: expected a command to start, got neither ENTRYPOINT nor CMD`, {
      hint: "give the recipe an ENTRYPOINT",
    });
  }
  if (config.rootfs.diff_ids.length !== manifest.layers.length) {
    const [layers, ids] = [manifest.layers.length, config.rootfs.diff_ids.length];
    throw new HostdError("wrong-product", `${what}: expected one diff_id per layer, got ${ids} for ${layers}`);
  }
  manifest.layers.forEach(verityOf);
  stopSignalOf(config);
  return {
    image: digest,
    sequence: release.sequence,
    version: release.version,
    declared: release.config,
    manifest: manifestBytes.toString(),
    config: configBytes.toString(),
    ...(release.order === undefined ? {} : { order: release.order }),
  };
}
