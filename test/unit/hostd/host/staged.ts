import type { Engine } from "../../../../hostd/engine.ts";
import { openJournal } from "../../../../hostd/journal/journal.ts";
import { createMemo } from "../../../../hostd/memo.ts";
import type { HostSystem } from "../../../../hostd/system/host/open.ts";
import { APP_LABEL } from "../../../../manifests/app.ts";
import { BOOT_ANNOTATION, type Boot, bootExample } from "../../../../manifests/boot.ts";
import { digestFromHex } from "../../../../manifests/digest.ts";
import { LAYER_ANNOTATIONS, MEDIA_TYPES } from "../../../../manifests/image.ts";

const hex = (digit: string) => digit.repeat(64);
const digest = (digit: string) => digestFromHex(hex(digit));

/** A version of the host of one layer; `digit` is what its image, its layer and its root have in their names. */
export function versionOf(digit: string, boot: Partial<Boot> = {}) {
  const annotations = {
    [LAYER_ANNOTATIONS.verityRoot]: hex(digit),
    [LAYER_ANNOTATIONS.erofsSize]: "4096",
    [LAYER_ANNOTATIONS.erofsFormat]: "1",
  };
  const manifest = {
    schemaVersion: 2,
    config: { mediaType: MEDIA_TYPES.config, digest: digest(digit), size: 1 },
    layers: [{ mediaType: MEDIA_TYPES.layerZstd, digest: digest(digit), size: 1, annotations }],
    annotations: { [BOOT_ANNOTATION]: JSON.stringify({ ...bootExample, root: hex(digit), ...boot }) },
  };
  const config = {
    architecture: "amd64",
    os: "linux",
    config: { Labels: { [APP_LABEL]: JSON.stringify({ schema: 1, name: "host" }) } },
    rootfs: { type: "layers", diff_ids: [digest(digit)] },
  };
  const about = { image: digest(digit), sequence: Number(digit), version: `${digit}.0.0`, declared: {} };
  return { ...about, manifest: JSON.stringify(manifest), config: JSON.stringify(config) };
}

/** A node with these versions of its host, the last one staged last. */
export function engineOf(versions: readonly ReturnType<typeof versionOf>[], host: object) {
  const journal = openJournal(":memory:", () => new Date(0));
  for (const version of versions) {
    const { id } = journal.operations.begin({
      requestId: version.version,
      kind: "stage",
      app: "host",
      caller: "test",
      plan: {},
    });
    journal.slots.stage(id, { app: "host", channel: "production", ...version });
    journal.operations.finish(id);
  }
  const engine = { journal, host: host as HostSystem, memo: createMemo(), log: () => {} };
  return engine as unknown as Engine;
}
