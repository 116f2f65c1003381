import type { Input, Version } from "./input.ts";

/** How one program stages a version into `target`, as shell text; `target` holds the versions before it. */
export interface Peer {
  name: string;
  /** What it reads, so that it can be read once before and nobody waits for the disk it comes from. */
  input: string;
  stage(version: Version, target: string): string;
  /** Takes back mounts before the target is deleted. */
  leave?(target: string): string;
}

/** The fastest way to do the least that anybody has to: unpack, hash, write. It yields no tree. */
export function floorOf(input: Input, blobs: Record<Version, string>): Peer {
  return {
    name: "floor: zstd -d | tee | openssl sha256",
    input: input.zstd,
    stage: (version, target) =>
      `zstd -dcq ${blobs[version]} | tee ${target}/${version}.tar | openssl dgst -sha256 >${target}/sum`,
  };
}

/** Programs that leave a tree that can be mounted or run as it is. Everybody gets the same files. */
export function peersOf(input: Input, program: string): Peer[] {
  const ours = (repository: string) => (version: Version, target: string) =>
    `${process.execPath} --disable-warning=ExperimentalWarning ${program} ${repository} ${version} ${target}`;
  const podman = (target: string) => `podman --root ${target}/root --runroot ${target}/run --storage-driver overlay`;
  return [
    { name: "ostler", input: input.zstd, stage: ours(input.zstd) },
    {
      name: "ostree pull-local + checkout",
      input: input.ostree,
      stage: (version, target) =>
        `{ test -d ${target}/repo || ostree --repo=${target}/repo init --mode=bare; }; ostree --repo=${target}/repo pull-local ${input.ostree} ${version}; ostree --repo=${target}/repo checkout -H ${version} ${target}/${version}`,
    },
    {
      name: "podman pull + mount",
      input: input.zstd,
      // podman takes no layout whose path has a name with a leading dot
      stage: (version, target) =>
        `cd ${input.zstd}; id=$(${podman(target)} pull -q oci:oci:${version}); ${podman(target)} image mount $id >/dev/null; cd - >/dev/null`,
      leave: (target) => `umount -R ${target}/root/overlay`,
    },
    {
      name: "umoci unpack (gzip)",
      input: input.gzip,
      stage: (version, target) => `umoci unpack --image ${input.gzip}/oci:${version} ${target}/${version}`,
    },
    {
      // the slowest by far is last: what stands before it is known by then
      name: "casync extract",
      input: input.casync,
      stage: (version, target) =>
        `casync extract --store=${input.casync}/store.castr ${version === "v1" ? "" : `--seed=${target}/v1`} ${input.casync}/${version}.caidx ${target}/${version}`,
    },
  ];
}
