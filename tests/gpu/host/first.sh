#!/usr/bin/env bash
# tests/gpu/first.sh to its end where there is no GPU: its first call on the cuda device with host libraries, every
# call on the processor, a program that is missing, no GPU.
#   tests/gpu/host/first.sh BUILD MODULE
set -euo pipefail
build=$(readlink -f "$1") module=$(readlink -f "$2")
cd "$(dirname "$0")/../../.."
work=$(mktemp -d "${TMPDIR:-/tmp}/dinf-first-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/tmp" "$work/gpu"
export TMPDIR=$work/tmp
cp "$build/dinf" "$build/tests/nn_test_feed" "$work/gpu/"
cp "$module" "$work/gpu/libdinf_cuda.so"
ln -s libdinf_cuda.so "$work/gpu/libcuda.so.1" # a driver, as far as anybody asks for one

# expect STATUS CALL OPTIONS...
expect() {
    local want=$1 got=0
    shift
    OUT=$work/out tests/gpu/first.sh "$@" >"$work/log" 2>&1 || got=$?
    [ "$got" = "$want" ] && return 0
    echo "FAIL: status $got instead of $want: first.sh $*"
    cat "$work/log"
    tail -n 60 "$work/out/first-1.txt" 2>/dev/null
    exit 1
}
says() { grep -q -- "$1" "$2" || { echo "FAIL: no word of: $1"; cat "$2"; exit 1; }; }

gpu() { LD_LIBRARY_PATH=$work/gpu expect "$@" --build "$work/gpu" --small; }
gpu 0 1
says 'resnet34 .* ok' "$work/out/first-1.table"
says '"recorded": *true' "$work/out/first-1.txt"
says 'libdinf_cuda.so' "$work/out/first-1.libraries"
says 'backward_weight' "$work/out/first-1.choices"
HOST_GPU_FAULT='no recording' gpu 1 1
says 'step, recorded .* status' "$work/out/first-1.table"
says 'step, not recorded .* ok' "$work/out/first-1.table"
rm "$work/gpu/nn_test_feed"
gpu 1 1
says 'recorded against not .* status' "$work/out/first-1.table"
HOST_GPU_FAULT=none gpu 77 1

expect 0 1 --build "$build" --device cpu
for call in 2 3 4; do
    expect 75 $call --build "$build" --device cpu --limit 0
    says '| part |\|not begun\|left' "$work/out/trial.md"
done
expect 2
expect 2 5
expect 2 1 --limit soon
echo passed
