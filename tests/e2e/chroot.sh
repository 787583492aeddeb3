#!/usr/bin/env bash
# First contact on a bare Debian 12: a minimal system in a folder, a clone of the
# repository in it, and ./jobs/local.sh, with the time that it takes. Needs root,
# debootstrap and a package mirror; takes minutes, so that it is no part of ctest.
#   tests/e2e/chroot.sh [COMMAND IN THE CLONE (./jobs/local.sh)]
# MIRROR: the package mirror (that of this machine); KEEP=1 keeps the folder.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || { echo "SKIP: a chroot needs root"; exit 77; }
command -v debootstrap >/dev/null || { echo "SKIP: debootstrap is not installed"; exit 77; }
[ $# -gt 0 ] || set -- ./jobs/local.sh

root=$(mktemp -d "${TMPDIR:-/tmp}/dinf-chroot.XXXXXX")
chmod 755 "$root"
cleanup() {
    local status=$? place
    for place in proc sys dev/pts dev/shm dev; do
        ! mountpoint -q "$root/$place" || umount -l "$root/$place"
    done
    [ -n "${KEEP:-}" ] && echo "kept: $root" || rm -rf --one-file-system "$root"
    exit $status
}
trap cleanup EXIT

start=$SECONDS
mirror=${MIRROR:-$(awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^http/) { print $i; exit } }
                        $1 == "URIs:" { print $2; exit }' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true)}
debootstrap --variant=minbase bookworm "$root" ${mirror:+"$mirror"} >"$root.log" 2>&1 ||
    { tail "$root.log"; echo "FAIL: debootstrap"; exit 1; }
rm -f "$root.log"
echo "bare system after $((SECONDS - start)) s"
cp /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
mount --bind /dev "$root/dev" || echo "no /dev in there: going on without"
mount --rbind /sys "$root/sys" && mount --make-rslave "$root/sys" || echo "no /sys in there: going on without"
mount -t proc proc "$root/proc" || echo "no /proc in there: going on without"
git clone -q --no-hardlinks . "$root/root/dinf"

begin=$SECONDS status=0
chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 ${https_proxy:+https_proxy="$https_proxy"} \
    ${http_proxy:+http_proxy="$http_proxy"} DINF_PROGRESS=plain bash -c 'cd /root/dinf && "$@"' - "$@" || status=$?
echo "status $status after $((SECONDS - begin)) s: $*"
exit $status
