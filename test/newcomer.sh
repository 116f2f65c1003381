#!/bin/sh
# A fresh minimal Debian in a container, a fresh clone, one command: what a newcomer does.
# usage: test/newcomer.sh [COMMAND...]   (default: ./run demo). Needs root, mmdebstrap and systemd-container.
set -eu
source=$(dirname "$(dirname "$(readlink -f "$0")")")
work=${NEWCOMER_DIRECTORY:-$(mktemp -d /var/tmp/newcomer.XXXXXX)}
mkdir -p "$work"
[ $# -gt 0 ] || set -- ./run demo

[ -e "$work/bare.tar" ] || mmdebstrap --quiet --variant=minbase --include=git bookworm "$work/bare.tar"
rm -rf "$work/root"
mkdir "$work/root"
tar -C "$work/root" -xpf "$work/bare.tar" --numeric-owner
git -C "$source" bundle create --quiet "$work/root/ostler.bundle" HEAD main
# A machine behind a proxy of its own carries that proxy's certificates; a newcomer's machine would have them too.
certificates=/etc/ssl/certs/ca-certificates.crt
mkdir -p "$work/root/usr/local/share/ca-certificates"
cp $certificates "$work/root/usr/local/share/ca-certificates/machine.crt"

status=0
systemd-nspawn --quiet --register=no --keep-unit --console=pipe --directory="$work/root" --machine=newcomer-$$ \
  --capability=CAP_NET_ADMIN --resolv-conf=copy-host --timezone=off --link-journal=no \
  --setenv=NODE_EXTRA_CA_CERTS=$certificates --setenv=CI="${CI:-}" \
  /bin/sh -euc 'cd /root; git clone --quiet --branch main /ostler.bundle ostler; cd ostler; exec "$@"' newcomer "$@" </dev/null || status=$?
[ -n "${NEWCOMER_DIRECTORY:-}" ] || rm -rf "$work"
exit $status
