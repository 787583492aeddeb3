#!/usr/bin/env bash
# The first half hour on a GPU, in four calls of at most ten minutes, of which the files in $OUT are kept:
#   OUT=DIR tests/gpu/first.sh 1|2|3|4 [--bundle ARCHIVE|DIR | --build DIR] [--limit SECONDS]
#   1  does it run: libraries, operations, recorded steps; then what a step takes. If it fails: mend, and call 1 again
#   2  figures: large shapes, the step beside PyTorch, rates of the chip, a profile by kernel
#   3  further precisions, networks, linear algebra, mixtures, thefts that share the GPU
#   4  what is left of run.sh, but what takes long
# --bundle  what containers/bundle.sh packed (without it: this folder, if it is one; dinf-*.tar.gz here; build)
# --limit   seconds from the start of this script (590)
# --device cpu, --small  try the script: another device, small sizes
# The programs and the reports stay in TMPDIR for the next call; what came back from another machine is gone on with if
# it lies in tests/gpu/reports. Exit status: 0, 1 a step failed, 77 no GPU; calls 2 to 4 end as run.sh does.
set -euo pipefail
here=$PWD
root=$(cd -P "$(dirname "$0")/../.." && pwd)
begin=$SECONDS
usage() { sed -n '2,13s/^# \{0,1\}//p' "$root/tests/gpu/first.sh"; }

call='' place='' bundle='' limit=590 device=cuda small='' margin=15
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help) usage; exit 0 ;;
    [1-4]) call=$1; shift; continue ;;
    --small) small=1; shift; continue ;;
    esac
    [ $# -ge 2 ] || { usage >&2; exit 2; }
    case $1 in
    --bundle) bundle=$2 ;;
    --build) place=$2 ;;
    --limit) limit=$2 ;;
    --device) device=$2 ;;
    *) echo "error: no option $1" >&2; exit 2 ;;
    esac
    shift 2
done
[ -n "$call" ] || { usage >&2; exit 2; }
case $limit in '' | *[!0-9]*) echo "error: --limit wants seconds, not '$limit'" >&2; exit 2 ;; esac
: "${OUT:?the folder that is kept}"
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
[ "$device" != cpu ] || small=1
cd "$root"

# ---- the programs, which the next call finds again

kept=${TMPDIR:-/tmp}/dinf-first-$(id -u)
mkdir -p "$kept/reports"
if [ -z "$bundle$place" ]; then
    if [ -x bin/dinf ] && [ -f MANIFEST ]; then bundle=$root; else bundle=$(ls -t "$root"/dinf-*.tar.* 2>/dev/null | head -n 1) || true; fi
    [ -n "$bundle" ] || place=$root/build
fi
case $bundle$place in /*) ;; *) [ -z "$bundle" ] || bundle=$here/$bundle; [ -z "$place" ] || place=$here/$place ;; esac
if [ -f "$bundle" ]; then
    sum=$(sha256sum "$bundle" | cut -c 1-16)
    if [ ! -d "$kept/$sum" ]; then
        mkdir "$kept/$sum.new"
        tar -C "$kept/$sum.new" -xf "$bundle"
        mv "$kept/$sum.new" "$kept/$sum"
    fi
    bundle=$(echo "$kept/$sum"/dinf-*)
fi
export DINF_CUDA_CHOICES=$kept/choices TORCHINDUCTOR_CACHE_DIR=$kept/inductor TRITON_CACHE_DIR=$kept/triton

if [ "$call" != 1 ]; then
    cp "$kept"/reports/*.md "$OUT/" 2>/dev/null || true
    trap 'cp "$OUT"/*.md "$kept/reports/" 2>/dev/null || true' EXIT
    case $call in
    2) which=(--only device table-fp32 large-bf16 bench-step-bf16 bench-chip bench-device profile) ;;
    3) which=(--only table-bf16 table-tf32 nn-golden nn-feed nn-gradient linalg bench-gmm bench-thefts) ;;
    4) which=(--without plans demo bench-thefts-mps memcheck racecheck initcheck) ;;
    esac
    if [ "$device" = cpu ]; then which+=(--device cpu --out "$OUT/trial.md"); fi
    code=0
    tests/gpu/remote.sh ${bundle:+--bundle "$bundle"} ${place:+--build "$place"} --keep "$OUT/results" \
        --limit $((limit - (SECONDS - begin))) "${which[@]}" || code=$?
    exit $code
fi

# ---- call 1: steps, none of which stops the others

PLACE=${bundle:-$place}
. tests/gpu/parts.sh # program
DINF=$(program dinf) || { echo "error: no dinf in $PLACE" >&2; exit 2; }
export DINF_TEST_DEVICE=$device
log=$OUT/first-1.txt table=$OUT/first-1.table failures=0
: >"$log"
printf '%-22s %-12s %s\n' step result seconds >"$table"
trap 'cat "$table"' EXIT

# step NAME LIMIT COMMAND...: what it says goes to the log; 77: not here
step() {
    local name=$1 given=$2 code=0 start=$SECONDS result=ok left=$((limit - margin - (SECONDS - begin)))
    shift 2
    [ "$left" -ge "$given" ] || given=$left
    printf '\n==== %s: %s\n' "$name" "$*" >>"$log"
    if [ "$given" -lt 1 ]; then
        result='no time left' code=1
    elif [ "$(type -t "$1")" = function ]; then
        ("$@") >>"$log" 2>&1 </dev/null || code=$?
    else
        timeout -k 5 "$given" "$@" >>"$log" 2>&1 </dev/null || code=$?
    fi
    case $code-$result in
    0-* | 1-no*) ;;
    77-*) result='not here' code=0 ;;
    124-* | 137-*) result="over $given s" ;;
    *) result="status $code" ;;
    esac
    [ $code = 0 ] || failures=$((failures + 1))
    printf '%-22s %-12s %s\n' "$name" "$result" $((SECONDS - start)) | tee -a "$table" >&2
}

machine() {
    local tool
    uname -srm
    nproc
    head -n 3 /proc/meminfo
    nvidia-smi || true
    for tool in nvcc ncu nsys compute-sanitizer nvidia-cuda-mps-control mpirun; do
        command -v $tool || echo "no $tool"
    done
    python3 -c 'import sys, torch; print(sys.version, torch.__version__, torch.version.cuda, torch.backends.cudnn.version())' ||
        echo "no PyTorch"
}

# training ARCH PRECISION STEPS [OPTIONS...]: sets `train`
training() {
    train=("$DINF" bench train --json --device "$device" --arch "$1" --precision "$2" --steps "$3" "${@:4}")
    if [ -n "$small" ]; then train+=(--arch resnet8 --width 0.125 --size 8 --batch 8 --warmup 2 --steps 4); fi
    [ "$device" != cpu ] || train+=(--precision fp32)
}

# What a training has loaded and taken, while it goes on: cuBLAS's two libraries must be of one installation.
loaded() {
    local pid tries places
    training resnet34 bf16 400 --batch 256 --warmup 5
    [ -z "$small" ] || train+=(--steps 20000)
    timeout 60 "${train[@]}" >/dev/null & # is asked while it runs
    pid=$!
    sleep "$([ -n "$small" ] && echo 2 || echo 8)"
    pid=$(children $pid | head -n 1) # of timeout
    [ -n "$pid" ] || { echo "the training was over before it was asked"; return 1; }
    nvidia-smi --query-compute-apps=pid,used_memory --format=csv || true
    grep -E 'Vm(Lck|HWM|Pin)' "/proc/$pid/status"
    grep -oE '/[^ ].*/lib(cu|nv|dinf|dnnl|openblas|mpi)[^/]*$' "/proc/$pid/maps" | sort -u | tee "$OUT/first-1.libraries"
    kill "$pid" 2>/dev/null || true
    places=$(sed -n 's|/libcublas\(Lt\)\{0,1\}\.so.*||p' "$OUT/first-1.libraries" | sort -u | wc -l)
    [ "$places" -le 1 ] || { echo "FAIL: cuBLAS and cuBLASLt come from $places folders"; return 1; }
}

step machine 60 machine
step devices 90 "$DINF" list devices
if [ "$device" = cuda ] && ! has_gpu; then
    why_no_gpu >>"$log" 2>&1
    tail -n 20 "$log" >&2
    exit 77
fi
tool() { found=$(program "$1") || found=false; }
precision=bf16
[ "$device" != cpu ] || precision=fp32
training resnet10 $precision 5 --batch 32
step "step, not recorded" 90 env DINF_CUDA_GRAPHS=0 "${train[@]}"
step "step, recorded" 60 env DINF_RECORD=required "${train[@]}"
tool device_compare
if [ -z "$small" ]; then # there are no small ones
    step "operations, fp32" 90 "$found" "$device" 1 fp32
    [ "$device" = cpu ] || step "operations, bf16" 90 "$found" "$device" 1 bf16
fi
tool nn_test_feed
step "recorded against not" 120 "$found"
step libraries 70 loaded
for arch in resnet18 resnet34; do
    training $arch bf16 50 --batch 256 --warmup 20
    step "$arch" 60 env DINF_RECORD=required "${train[@]}"
    step "$arch, not recorded" 60 env DINF_CUDA_GRAPHS=0 "${train[@]}"
done
tool device_bench
[ -n "$small" ] || step "rates" 60 "$found" "$device" 1
[ ! -f "$DINF_CUDA_CHOICES" ] || cp "$DINF_CUDA_CHOICES" "$OUT/first-1.choices"
[ $failures = 0 ]
