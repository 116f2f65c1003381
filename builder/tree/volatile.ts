// Files that differ on every run by their nature and that nothing in an image needs. They stay in the trees that later
// steps see (so `apt-get update` in one RUN serves the next) but are left out of layers and of cache keys.
const VOLATILE: readonly RegExp[] = [
  /^var\/log\/(?:alternatives|bootstrap|dpkg|fontconfig)\.log$/,
  /^var\/log\/apt\/(?:history\.log|term\.log|eipp\.log\.xz)$/,
  /^var\/cache\/ldconfig\/aux-cache$/,
  /^var\/cache\/apt\/(?:src)?pkgcache\.bin$/,
  /^var\/cache\/apt\/archives\/[^/]+\.deb$/,
  /^var\/lib\/apt\/lists\/(?:partial\/)?[^/]+_[^/]*$/,
  /^var\/cache\/debconf\/[a-z]+\.dat-old$/,
  /^var\/lib\/dpkg\/(?:status|diversions|statoverride)-old$/,
];

/** True for a path that is left out of layers and keys: logs and caches of apt, dpkg, debconf and ldconfig. */
export function isVolatile(path: string): boolean {
  return path.startsWith("var/") && VOLATILE.some((pattern) => pattern.test(path));
}
