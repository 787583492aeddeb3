#!/usr/bin/env bash
# A bundle (containers/bundle.sh) on systems with an older and a newer C library and
# nothing else: unpacked at an odd place in minimal systems, as a user that they do
# not know; whole runs, and where every library came from. Needs root, debootstrap
# and a package mirror; takes minutes, so that it is no part of ctest.
#   tests/e2e/bundle.sh [-a ARCHIVE] [RELEASE...]       (bullseye trixie)
# MIRROR: the package mirror (that of this machine; of Ubuntu for its releases);
# INCLUDE: packages for the systems to have (openmpi-bin: another Open MPI than the
# bundle's); KEEP=1 keeps the folders. Without -a the archive is built, without cuda.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
archive=
while getopts a: option; do
    case $option in a) archive=$(readlink -f "$OPTARG") ;; *) exit 2 ;; esac
done
shift $((OPTIND - 1))
cd "$here/../.."
[ "$(id -u)" = 0 ] || { echo "SKIP: a chroot needs root"; exit 77; }
command -v debootstrap >/dev/null || { echo "SKIP: debootstrap is not installed"; exit 77; }
[ $# -gt 0 ] || set -- bullseye trixie
. jobs/lib.sh

work=$(mktemp -d "${TMPDIR:-/tmp}/dinf-bundle-test.XXXXXX")
chmod 755 "$work"
leave() { # leave ROOT: unmounts what enter mounted
    local below
    for below in proc sys dev usr/local/cuda; do
        ! mountpoint -q "$1/$below" || umount -Rl "$1/$below"
    done
}
cleanup() {
    local status=$? root
    for root in "$work"/*/; do leave "${root%/}"; done
    [ -n "${KEEP:-}" ] && echo "kept: $work" || rm -rf --one-file-system "$work"
    exit $status
}
trap cleanup EXIT
fail() { echo "FAIL: $release: $*"; [ ! -s "$work/log" ] || tail -n 30 "$work/log"; exit 1; }

release=host
if [ -z "$archive" ]; then
    archive=$work/bundle.tar.zst
    DINF_CUDA=OFF containers/bundle.sh "$archive"
fi
mirror=${MIRROR:-$(awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^http/) { print $i; exit } }
                        $1 == "URIs:" { print $2; exit }' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null ||
    true)}

# The same archive here gives the numbers to compare with.
mkdir "$work/here"
tar -C "$work/here" -xf "$archive"
version=$(ls "$work/here")
mine=$work/here/$version
(cd "$mine" && sha256sum --quiet -c MANIFEST) || fail "the manifest is wrong"
[ "$(cd "$mine" && find . -type f | wc -l)" = $(($(wc -l <"$mine/MANIFEST") + 1)) ] ||
    fail "files that the manifest lacks"
! grep -rlF "$PWD/" "$mine" || fail "names of this machine's folders"
for object in "$mine"/libexec/* "$mine"/lib/*/*; do
    ! readelf -d "$object" 2>/dev/null | grep -E '\(R(UN)?PATH\).*(\[|:)/' ||
        fail "a search path of this machine in $object"
done
"$mine/bin/dinf" run tests/e2e/tiny.cfg --out "$work/expected" >"$work/log" 2>&1 || fail "status $? on this machine"

# and so do the parts and benchmarks of tests/gpu/run.sh that need no GPU, from the folder alone
(cd "$mine" && PYTHONDONTWRITEBYTECODE=1 tests/gpu/run.sh --bundle . --device cpu --out "$work/report.md" \
    --without nn-gradient nn-feed) >"$work/log" 2>&1 || fail "status $? of tests/gpu/run.sh"
! grep -nF -e "$mine" "$work/report.md" || fail "names of this machine's folders in the report"

# inside COMMAND...: in the chroot, in the bundle's folder, as $user, with only the
# variables of a login; what it prints goes to log
place="/opt/an odd place, ünd more"
inside() {
    chroot --userspec="$user" "$root" /usr/bin/env -i HOME=/tmp PATH=/usr/bin:/bin LANG=C.UTF-8 \
        DINF_PROGRESS=plain ${trace:+LD_DEBUG=libs,files LD_DEBUG_OUTPUT=/tmp/trace/x} \
        /bin/sh -c 'cd "$0" && exec "$@"' "$place/$version" "$@" >"$work/log" 2>&1 </dev/null
}
expect() { # expect STATUS COMMAND...
    local want=$1 got=0
    shift
    inside "$@" || got=$?
    [ "$got" = "$want" ] || fail "status $got instead of $want: $*"
}
says() { grep -q -- "$1" "$work/log" || fail "no word of: $1"; }

# Every library that a program of the bundle loaded, by the loader's own account of
# each process: those before `transferring control: PROGRAM` and after it. The
# shell that the process was before has its lines in the same file.
loaded() {
    awk -v bundle="$place/$version/" '
        FNR == 1 { ours = n = 0 }
        /transferring control: / {
            sub(/.*transferring control: /, "")
            ours = index($0, bundle) == 1
            for (i = 0; ours && i < n; i++) print buffer[i]
            n = 0
        }
        /trying file=/ { sub(/.*trying file=/, ""); tried = $0 }
        /generating link map/ {
            sub(/^.*[ \t]file=/, ""); sub(/ \[[0-9]+\]; .*/, "")
            path = index($0, "/") ? $0 : tried
            if (ours) print path
            buffer[n++] = path
        }' "$root"/tmp/trace/x.* | sort | uniq -c | sort -rn
}

# driver FOLDER: the host's driver comes from there (a pattern)
driver() {
    chroot "$root" /sbin/ldconfig
    cp containers/bundle/host.sh "$root/tmp/"
    expect 0 sh -c '. /tmp/host.sh; host_libraries /nowhere; echo "$host_path"'
    says "^:$1\$"
    [ -e "$mine/libexec/host.sh" ] || return 0
    rm -f "$root"/tmp/trace/*
    trace=1
    expect 1 bin/device_compare cuda
    trace=
    loaded >"$work/libraries"
    grep -q " $1/libcuda.so.1\$" "$work/libraries" || fail "the driver was not opened"
}

for release; do
    begin=$SECONDS root=$work/$release from=$mirror trace= user=12345:12345
    # debootstrap has a script of every release, and it is of Debian or of Ubuntu
    if [ -z "${MIRROR:-}" ] && [[ $(readlink -f "/usr/share/debootstrap/scripts/$release") == */gutsy ]]; then
        fail "$release is a release of Ubuntu: MIRROR tells where its packages are"
    fi
    debootstrap --variant=minbase ${INCLUDE:+--include="$INCLUDE"} "$release" "$root" ${from:+"$from"} \
        >"$work/log" 2>&1 || fail "debootstrap"
    mount --rbind /dev "$root/dev" && mount --make-rslave "$root/dev"
    mount --rbind /sys "$root/sys" && mount --make-rslave "$root/sys"
    mount -t proc proc "$root/proc"
    mkdir -p "$root$place" "$root/tmp/trace"
    chmod 1777 "$root/tmp" "$root/tmp/trace"
    tar -C "$root$place" -xf "$archive"
    libc=$(chroot "$root" ldd --version | awk 'NR == 1 { print $NF }')
    echo "$release: C library $libc, ready after $((SECONDS - begin)) s"
    begin=$SECONDS

    if [ -e "$mine/libexec/host-libraries" ]; then # packed without CUDA's: starts without them, and takes the host's
        expect 0 bin/dinf --version
        mkdir "$root/usr/local/cuda"
        mount --bind "$(readlink -f "${CUDA_HOME:-/usr/local/cuda}")" "$root/usr/local/cuda"
    fi
    expect 0 bin/dinf --version
    says "^dinf ${version#dinf-} "
    expect 0 bin/dinf list devices
    says oneDNN
    expect 0 bin/dinf plan configs/demo.cfg
    expect 2 bin/dinf
    expect 2 bin/dinf run nowhere.cfg --out /tmp/nowhere
    expect 0 bin/device_compare cpu 2
    ln -s "$place/$version/bin/dinf" "$root/usr/local/bin/dinf"
    ln -s "$place" "$root/srv/plain"
    expect 0 /usr/local/bin/dinf --version
    ! inside bin/mpirun -n 1 ./nowhere || fail "mpirun starts what is not there"
    says 'unable to launch the specified application' # a text of share/openmpi

    trace=1
    expect 0 bin/mpirun --oversubscribe --bind-to none --mca btl_vader_single_copy_mechanism none -n 3 \
        bin/dinf run tests/e2e/tiny.cfg --out /tmp/tiny
    trace=
    says '54 done, 0 failed'
    [ -s "$root/tmp/tiny/results.h5" ] || fail "no results.h5"
    loaded >"$work/libraries"
    [ "$(awk '{ n += $1 } END { print n }' "$work/libraries")" -gt 3000 ] || fail "the loader's account is not whole"
    for library in libc.so libmpi.so libopenblas.so mca_btl_tcp mca_pmix_ext3x pmix_mca; do
        grep -q "$place/$version/lib/.*/$library" "$work/libraries" || fail "$library: not loaded"
    done
    awk -v bundle="$place/$version/" '{ $1 = ""; sub(/^ /, "") } index($0, bundle) != 1' "$work/libraries" |
        grep -vE '/lib(cuda\.so|nvidia-)|^/usr/local/cuda/' >"$work/log" && fail "libraries of the host"
    "$DINF_PYTHON" tests/mpi/compare.py "$work/expected" "$root/tmp/tiny" >"$work/log" 2>&1 ||
        fail "other numbers than here"
    expect 0 bin/dinf run tests/e2e/tiny.cfg --out /tmp/tiny # nothing left to do
    expect 0 bin/dinf collect /tmp/tiny --pack

    # Two further nodes, as far as mpirun knows: what it tells ssh is run here, with
    # nothing in the environment and under another name (which only root can give)
    cat >"$root/tmp/agent" <<'END'
#!/bin/sh
host=$1
shift
exec env -i HOME=/root PATH=/usr/bin:/bin unshare -u sh -c 'hostname "$0" && exec sh -c "$1"' "$host" "$*"
END
    chmod 755 "$root/tmp/agent"
    user=0:0
    expect 0 "/srv/plain/$version/bin/mpirun" --allow-run-as-root --mca plm_rsh_agent /tmp/agent -H one:1,two:2 \
        --mca btl_vader_single_copy_mechanism none --bind-to none -n 3 \
        "/srv/plain/$version/bin/dinf" run configs/mock.cfg --out /tmp/nodes
    user=12345:12345
    says '67 done, 0 failed'
    grep -q '"hosts":"one two"' "$root/tmp/nodes/status.json" || fail "not on two nodes"

    # jobs/ know that there is nothing to build
    expect 0 bash jobs/local.sh configs/mock.cfg -n 3 --out /tmp/local
    says '67 done, 0 failed'
    ! grep -q building "$work/log" || fail "jobs/local.sh builds"

    # A driver beside the host's C library: found, and nothing else of that folder;
    # then one in a folder of its own. The programs open it, if they were built to.
    if command -v cc >/dev/null; then
        libraries=$root/usr/lib/x86_64-linux-gnu
        for library in libcuda.so.1 libnvidia-ptxjitcompiler.so.1; do
            echo "int dinf_$RANDOM;" | cc -shared -nostdlib -Wl,-soname,"$library" -x c - -o "$libraries/$library"
        done
        for _ in first again; do
            driver '/tmp/dinf-host-12345-[0-9]*'
            [ "$(cd "$root"/tmp/dinf-host-*/ && echo *)" = "libcuda.so.1 libnvidia-ptxjitcompiler.so.1" ] ||
                fail "more than the driver"
            rm "$root"/tmp/dinf-host-*/libcuda.so.1 # as what cleans /tmp may do
        done
        mkdir -p "$root/usr/local/nvidia/lib64"
        mv "$libraries"/lib{cuda,nvidia}*.so.1 "$root/usr/local/nvidia/lib64"
        driver /usr/local/nvidia/lib64
    else
        echo "$release: no compiler here: the search for the driver was not tried"
    fi
    leave "$root"
    echo "$release: passed after $((SECONDS - begin)) s"
done
