#!/usr/bin/env bash
# Where a bundle without CUDA's libraries finds the host's (containers/bundle/host.sh): those of cuBLAS in one folder,
# also where an earlier one has a part of them.
set -euo pipefail
cd "$(dirname "$0")/../../.."
work=$(mktemp -d "${TMPDIR:-/tmp}/dinf-libraries.XXXXXX")
trap 'rm -rf "$work"' EXIT

# folder NAME LIBRARY...: with files that begin as libraries of 64 bits do
folder() {
    local library
    mkdir "$work/$1"
    for library in "${@:2}"; do printf '\177ELF\002' >"$work/$1/$library"; done
}
# expect PATH FOLDER...: what is searched if LD_LIBRARY_PATH is these folders
expect() {
    local found want=$1
    shift
    found=$(LD_LIBRARY_PATH=$(printf "%s\n" "$@" | sed "s|^|$work/|" | paste -sd:)
        export LD_LIBRARY_PATH
        unset CUDA_HOME CUDA_PATH CUDNN_ROOT
        . containers/bundle/host.sh
        host_cached() { :; }
        host_last() { :; }
        host_packages() { :; }
        host_libraries "$work/bundle"
        printf '%s' "$host_path" | sed "s|$work/||g")
    [ "$found" = "$want" ] || { echo "FAIL: $* give $found instead of $want"; exit 1; }
}

mkdir -p "$work/bundle/libexec"
printf '%s\n' libcublas.so.13 libcublasLt.so.13 libcudnn.so.9 libcusolver.so.12 >"$work/bundle/libexec/host-libraries"
folder driver libcuda.so.1
folder part libcublas.so.13
folder solver libcusolver.so.12
folder blas libcublas.so.13 libcublasLt.so.13
folder toolkit libcublas.so.13 libcublasLt.so.13 libcusolver.so.12
folder cudnn libcudnn.so.9
expect :driver:toolkit:cudnn part cudnn toolkit driver
expect :driver:toolkit:cudnn blas solver toolkit cudnn driver
expect :driver:blas:cudnn:solver part solver blas cudnn driver
expect :part part 2>"$work/said"
grep -q 'no folder has both' "$work/said" || { echo "FAIL: no warning"; exit 1; }
echo passed
