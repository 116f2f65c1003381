import type { Input } from "./input.ts";

/** How one program stages version `v1` or `v2` into `target`, as shell text; `target` holds v1 when v2 is staged. */
export interface Peer {
  name: string;
  /** Whether what it leaves can be mounted or run as it is. */
  yieldsTree: boolean;
  stage(version: "v1" | "v2", target: string): string;
  /** Takes back mounts before the target is deleted. */
  leave?(target: string): string;
}

/** Everybody gets the same files, and ends with a barrier for what was written. */
export function peersOf(input: Input, blobs: Record<"v1" | "v2", string>, node: string): Peer[] {
  const podman = (target: string) => `podman --root ${target}/root --runroot ${target}/run --storage-driver overlay`;
  return [
    {
      name: "floor: zstd -d | tee | sha256sum",
      yieldsTree: false,
      stage: (version, target) =>
        `zstd -dcq ${blobs[version]} | tee ${target}/${version}.tar | sha256sum >${target}/sum`,
    },
    {
      name: "ostler",
      yieldsTree: true,
      stage: (version, target) =>
        `${node} --disable-warning=ExperimentalWarning bench/ours.ts ${input.zstd} ${version} ${target}`,
    },
    {
      name: "umoci unpack (gzip)",
      yieldsTree: true,
      stage: (version, target) => `umoci unpack --image ${input.gzip}/oci:${version} ${target}/${version}`,
    },
    {
      name: "podman pull + mount",
      yieldsTree: true,
      stage: (version, target) =>
        `cd ${input.zstd}; id=$(${podman(target)} pull -q oci:oci:${version}); cd - >/dev/null; ${podman(target)} image mount $id >/dev/null`,
      leave: (target) => `${podman(target)} image umount --all; umount ${target}/root/overlay`,
    },
    {
      name: "ostree pull-local + checkout",
      yieldsTree: true,
      stage: (version, target) =>
        `{ test -d ${target}/repo || ostree --repo=${target}/repo init --mode=bare; }; ostree --repo=${target}/repo pull-local ${input.ostree} ${version}; ostree --repo=${target}/repo checkout -H ${version} ${target}/${version}`,
    },
    {
      name: "casync extract",
      yieldsTree: true,
      stage: (version, target) =>
        `casync extract --store=${input.casync}/store.castr ${version === "v2" ? `--seed=${target}/v1` : ""} ${input.casync}/${version}.caidx ${target}/${version}`,
    },
  ];
}
