#!/usr/bin/env bash
# Builds dinf and packs it with all that it needs, for x86-64 machines without our
# packages and with another glibc: one archive, one folder in it, no installation.
#   containers/bundle.sh [--without-cuda-libraries] [OUT.tar.zst|OUT.tar.gz]
# OUT: dinf-VERSION.tar.gz. The folder's bin/dinf, bin/mpirun and further programs
# are scripts that start the real ones with the folder's own loader and C library
# (bundle/launch.sh). Without CUDA's libraries, the cuda device uses the host's, which
# CUDA_HOME, CUDNN_ROOT, LD_LIBRARY_PATH, ldconfig or pip's packages of DINF_PYTHON tell;
# the driver is never packed.
# DINF_BUILD: build folder (build-bundle); DINF_CUDA: ON, OFF or AUTO (AUTO).
set -euo pipefail
umask 022
here=$PWD
cd "$(dirname "$0")/.."
. jobs/lib.sh

out= with_cuda=1
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --without-cuda-libraries) with_cuda= ;;
    -*) echo "error: no option $1" >&2; exit 2 ;;
    *) [ -z "$out" ] || { echo "error: two archives, $out and $1" >&2; exit 2; }
        out=$1 ;;
    esac
    shift
done
case $out in
'' | *.tar.zst | *.tar.gz) ;;
*) echo "error: an archive ends in .tar.zst or .tar.gz, not as $out" >&2; exit 2 ;;
esac
case $out in /* | '') ;; *) out=$here/$out ;; esac
[ -z "$out" ] || [ -d "$(dirname "$out")" ] || { echo "error: no folder $(dirname "$out")" >&2; exit 2; }
[ "$(uname -m)" = x86_64 ] || { echo "error: bundles are for x86-64" >&2; exit 2; }

build=${DINF_BUILD:-build-bundle}
export DINF_CUDA=${DINF_CUDA:-AUTO} DINF_NATIVE=OFF DINF_CMAKE=-DDINF_TEST_DATA=tests
networks="golden gradient feed resume" # tests of the networks, which want tests/golden beside them
dinf_install patchelf zstd
dinf_build "$build" dinf device_compare device_bench $(printf 'nn_test_%s ' $networks)
cuda=$build/libdinf_cuda.so # what the program loads for a GPU
grep -q libdinf_cuda "$build/build.ninja" || cuda= # whatever an earlier build left
[ -z "$cuda" ] || dinf_build "$build" gpu_linalg gpu_plans

version=$("$build/dinf" --version | awk '{ print $2 }')
name=dinf-$version
out=${out:-$here/$name.tar.gz}
work=$(mktemp -d "${TMPDIR:-/tmp}/dinf-bundle.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/$name
mkdir -p "$root"/{bin,libexec,lib/{bundle,openmpi,pmix},share,etc/openmpi,licences,tests/{e2e,gpu,mpi,bench/gpu,golden}}

# ---- what is carried, and where it comes from

origins=$work/origins left=$work/left
touch "$origins" "$left"

# carry FILE TO: a copy, which others must be able to read
carry() {
    cp -L "$1" "$root/$2"
    chmod u+w,a+r "$root/$2"
    printf '%s\n' "$1" >>"$origins"
}

# The driver belongs to the host's kernel. CUDA's libraries are told by their names.
is_driver() { case $1 in libcuda.so* | libnvidia-*) ;; *) return 1 ;; esac; }
is_cuda() { [[ $1 =~ ^lib(cudnn|cublas|cusolver|cusparse|cudart|nvJitLink|nvrtc) ]]; }

# carry_library SONAME FILE: once
carry_library() {
    ! is_driver "$1" || return 0
    if [ -z "$with_cuda" ] && is_cuda "$1"; then
        printf '%s\n' "$1" >>"$left"
    elif [ ! -e "$root/lib/bundle/$1" ]; then
        carry "$2" "lib/bundle/$1"
    fi
}

# carry_needs FILE: the libraries that it is linked to, and theirs
carry_needs() {
    local soname arrow path rest
    while read -r soname arrow path rest; do
        case "$arrow $path" in
        '=> not') is_driver "$soname" || { dinf_say "$1 needs $soname, which is not here"; exit 1; } ;;
        '=> /'*) carry_library "$soname" "$path" ;;
        esac
    done < <(ldd "$1")
}

# carry_program NAME FILE: bin/NAME starts libexec/NAME
carry_program() {
    carry "$2" "libexec/$1"
    carry_needs "$2"
    install -m 755 containers/bundle/launch.sh "$root/bin/$1"
}

carry_program dinf "$build/dinf"
# loaded, not linked (src/device/cpu/blas.h)
openblas=$(readlink -f "$(ldconfig -p | awk '$1 == "libopenblas.so.0" { print $NF; exit }')")
carry_library libopenblas.so.0 "$openblas"
carry_needs "$openblas"
carry_program device_compare "$build/tests/device/device_compare"
carry_program device_bench "$build/tests/bench/device_bench"
for test in $networks; do carry_program "nn_test_$test" "$build/tests/nn_test_$test"; done
if [ -n "$cuda" ]; then
    carry "$cuda" lib/bundle/libdinf_cuda.so
    carry_needs "$cuda"
fi
for test in ${cuda:+linalg plans}; do carry_program "gpu_$test" "$build/tests/gpu/gpu_$test"; done

# The loader and the C library's family: also what it opens itself (name services,
# libgcc_s when a thread ends) and what the driver is linked to.
loader=$(readelf -l "$build/dinf" | sed -n 's/.*program interpreter: \(.*\)]/\1/p')
carry "$loader" lib/bundle/ld-linux-x86-64.so.2
chmod 755 "$root/lib/bundle/ld-linux-x86-64.so.2"
libc=$(ldd "$build/dinf" | awk '$1 == "libc.so.6" { print $3 }')
for library in libdl.so.2 libpthread.so.0 librt.so.1 libutil.so.1 libresolv.so.2 libanl.so.1 \
    libnss_files.so.2 libnss_dns.so.2 libnss_compat.so.2 libgcc_s.so.1; do
    carry_library "$library" "$(dirname "$libc")/$library"
done

# Open MPI: programs, plugins, texts. Not the plugins for other interfaces
# (OpenSHMEM) and for fabrics, whose libraries want plugins of their own that go
# with the host's kernel; the coordinator's messages are few and small.
info() { ompi_info --parsable --path "$1" | sed -n "s/^path:$1://p"; }
for program in orterun orted ompi_info; do
    carry_program "$program" "$(readlink -f "$(command -v "$program")")"
done
for program in mpirun mpiexec; do cp "$root/bin/orterun" "$root/bin/$program"; done
skipped=0
for plugin in "$(info pkglibdir)"/mca_*.so; do
    if [[ $(ldd "$plugin") =~ lib(oshmem|fabric|ucp|ibverbs|psm2|psm_infinipath|rdmacm)\.so ]]; then
        skipped=$((skipped + 1))
    else
        carry "$plugin" "lib/openmpi/$(basename "$plugin")"
        carry_needs "$plugin"
    fi
done
cp -rL "$(info pkgdatadir)" "$root/share/openmpi"
rm -rf "$root"/share/openmpi/{*-wrapper-data.txt,*.supp,*.ini,help-{o,}shmem-*,amca-param-sets}
cat >"$root/etc/openmpi/openmpi-mca-params.conf" <<'END'
# Settings of the bundle's Open MPI, for all who use it: NAME = VALUE
btl_base_warn_component_unused = 0
END
echo "# Nodes to use if none are told: NAME slots=N" >"$root/etc/openmpi/openmpi-default-hostfile"

# PMIx, through which ranks find each other: its folders lie beside its library
pmix=$(ldd "$(info pkglibdir)"/mca_pmix_ext3x.so 2>/dev/null | awk '$1 ~ /^libpmix\.so/ { print $3 }')
if [ -n "$pmix" ]; then
    pmix=$(dirname "$(readlink -f "$pmix")")
    for plugin in "$pmix"/pmix/*.so; do
        [ -e "$plugin" ] || { dinf_say "no plugins of PMIx in $pmix/pmix"; exit 1; }
        carry "$plugin" "lib/pmix/$(basename "$plugin")"
        carry_needs "$plugin"
    done
    mkdir -p "$root/share/pmix"
    cp -L "$pmix"/../share/pmix/help-*.txt "$root/share/pmix/"
fi

# CUDA: cuDNN opens the parts that are used, all but _adv (attention, recurrent
# layers); parts of it and cuBLAS open the compiler. The driver's side comes from
# the host at start.
if [ -n "$cuda" ]; then
    while read -r soname path; do
        part=${soname#libcudnn}
        for library in "$(dirname "$path")"/libcudnn_*"$part"; do
            case $library in *_adv.so* | *'*'*) continue ;; esac
            carry_library "$(basename "$library")" "$library"
            carry_needs "$library"
        done
    done < <(ldd "$cuda" | awk '$1 ~ /^libcudnn\.so/ { print $1, $3 }')
    cublas=$(ldd "$cuda" | awk '$1 ~ /^libcublasLt\.so/ { print $3 }')
    for library in "$(dirname "$cublas")"/libnvrtc{,-builtins}.so.*; do
        case $library in *.alt.*) continue ;; esac
        soname=$(readelf -d "$library" | sed -n 's/.*SONAME.*\[\(.*\)]/\1/p')
        [ "$soname" != "$(basename "$library")" ] || carry_library "$soname" "$library"
    done
    cp containers/bundle/host.sh "$root/libexec/"
    [ ! -s "$left" ] || sort -u "$left" | grep -v nvrtc >"$root/libexec/host-libraries"
fi

# No search path of this machine. Relative ones stay, as NVIDIA's files do.
while read -r file; do
    case $(patchelf --print-rpath "$file" 2>/dev/null) in /* | *:/*) patchelf --remove-rpath "$file" ;; esac
done < <(find "$root/lib" "$root/libexec" -type f ! -name '*.sh' ! -name host-libraries)

# ---- texts, configs, tests, licences

cp -r configs analysis README.md CHANGELOG.md CITATION.cff "$root/"
cp -r jobs "$root/"
# what tests/gpu/run.sh needs
cp tests/e2e/tiny.cfg "$root/tests/e2e/"
cp tests/mpi/compare.py "$root/tests/mpi/"
cp tests/gpu/README.md tests/gpu/*.sh tests/gpu/*.py "$root/tests/gpu/"
cp -r tests/gpu/profiles "$root/tests/gpu/"
cp tests/bench/gmm.py "$root/tests/bench/"
cp tests/bench/gpu/README.md tests/bench/gpu/*.py "$root/tests/bench/gpu/"
cp -r tests/golden/nn "$root/tests/golden/"
find "$root/analysis" "$root/tests" -name __pycache__ -prune -exec rm -rf {} +

# Debian's copyright files by package, with the texts that they refer to; of what no
# package owns (NVIDIA's), the licences that lie around it
declare -A owner=()
nvidia=
mapfile -t files < <(sort -u "$origins" | grep -v "^$build/")
# a file may be known under its name or its target's, with /usr or without
mapfile -t paths < <({ printf '%s\n' "${files[@]}"; readlink -f "${files[@]}"; } |
    sed 'p; s|^/usr||p; s|^|/usr|' | sort -u)
while IFS=: read -r package rest; do
    owner[${rest##* }]=$package
done < <(dpkg -S "${paths[@]}" 2>/dev/null || true)
for file in "${files[@]}"; do
    package= target=$(readlink -f "$file")
    for path in "$file" "$target"; do
        package=${package:-${owner[$path]:-${owner[${path#/usr}]:-${owner[/usr$path]:-}}}}
    done
    if [ -e "/usr/share/doc/${package:-none}/copyright" ]; then
        [ -e "$root/licences/$package" ] || cp -L "/usr/share/doc/$package/copyright" "$root/licences/$package"
    elif is_cuda "$(basename "$file")"; then
        nvidia=1
    else
        dinf_say "warning: no licence found of $file"
    fi
done
cp -rL /usr/share/common-licenses "$root/licences/common"
if [ -n "$nvidia" ]; then
    toolkit=$(dirname "$(readlink -f "$cublas")")
    while [ "$toolkit" != / ] && [ ! -d "$toolkit/include" ]; do toolkit=$(dirname "$toolkit"); done
    while read -r sum text; do
        [ -e "$root/licences/nvidia-$sum.txt" ] || cp "$text" "$root/licences/nvidia-$sum.txt"
    done < <(find "$toolkit" \( -iname '*eula*' -o -iname 'licen[cs]e*' \) -type f -exec sha256sum {} + |
        awk '{ sum = substr($1, 1, 8); sub(/^[^ ]* */, ""); print sum, $0 }')
    compgen -G "$root/licences/nvidia-*" >/dev/null || dinf_say "warning: no licence of NVIDIA's below $toolkit"
fi

# ---- checks, manifest, archive

for object in "$root"/libexec/* "$root"/lib/*/*; do
    while read -r soname; do
        [ -e "$root/lib/bundle/$soname" ] || grep -qxF "$soname" "$left" ||
            { dinf_say "$(basename "$object") needs $soname, which is not carried"; exit 1; }
    done < <(readelf -d "$object" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)]/\1/p')
done
"$root/bin/dinf" --version >/dev/null
(cd "$root" && find . -type f ! -name MANIFEST -printf '%P\0' | sort -z | xargs -0 sha256sum >MANIFEST)

case $out in
*.zst) compress='zstd -q -T0 -12' ;;
*) compress='gzip -6' ;;
esac
tar -C "$work" --sort=name --mtime="@$(git log -1 --format=%ct 2>/dev/null || date +%s)" --owner=0 --group=0 \
    --numeric-owner --mode=a+rX -I "$compress" -cf "$out" "$name"

size() { du -cm "$@" 2>/dev/null | awk 'END { print $1 " MiB" }'; }
nvidias=()
for library in "$root"/lib/bundle/*; do ! is_cuda "$(basename "$library")" || nvidias+=("$library"); done
printf '%-28s %s\n' programs "$(size "$root"/libexec)" \
    "libraries ($(ls "$root/lib/bundle" | wc -l))" "$(size "$root"/lib/bundle)" \
    "of which CUDA's (${#nvidias[@]})" "$([ ${#nvidias[@]} -gt 0 ] && size "${nvidias[@]}" || echo 0 MiB)" \
    "plugins ($(find "$root"/lib/openmpi "$root"/lib/pmix -type f | wc -l), $skipped left out)" \
    "$(size "$root"/lib/openmpi "$root"/lib/pmix)" \
    "unpacked ($(wc -l <"$root/MANIFEST") files)" "$(size "$root")" archive "$(size "$out")"
dinf_say "$out"
