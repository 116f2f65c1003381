import { run } from "../effects/process.ts";

/** What the peers of a staging need; `time` measures them. All from Debian itself. */
export const STAGE_PACKAGES = ["casync", "mmdebstrap", "ostree", "podman", "time", "umoci", "zstd"];
/** What the rivals of a host need on this machine. */
export const HOST_PACKAGES = ["dpkg-dev", "mmdebstrap", "openssl", "rauc", "squashfs-tools"];

/** Installs the peers that are missing, by apt, and says which. They stay installed. */
export async function installPeers(packages: readonly string[]): Promise<void> {
  const { stdout } = await run(["dpkg", "--get-selections"]);
  const lines = stdout.split("\n").map((line) => line.split(/\s+/));
  const installed = new Set(
    lines.flatMap(([name = "", state]) => (state === "install" ? [name.replace(/:.*/, "")] : [])),
  );
  const missing = packages.filter((name) => !installed.has(name));
  if (missing.length === 0) return;
  console.error(`bench: installing ${missing.join(" ")}`);
  await run(["apt-get", "install", "-y", "--no-install-recommends", ...missing], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
}
