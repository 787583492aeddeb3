#!/usr/bin/env bash
# Everything that only a GPU can tell, and one report of it in Markdown.
#   tests/gpu/run.sh [--build DIR | --bundle DIR] [--budget SECONDS] [--only PART...] [--without PART...] [--again]
#                    [--out FILE | --reports DIR] [--keep DIR]
#   tests/gpu/run.sh --list
# --build   a build folder with the cuda device (build); --bundle: what containers/bundle.sh packed
# --budget  when to stop starting parts, and the end of the last one (540)
# --only    these parts, also those done; otherwise those that the report lacks, --without: but these
# --again   failed parts, too
# --out     the report (in --reports, tests/gpu/reports, one for each revision, GPU and driver): given again with the
#           same programs, GPU and driver, it is completed, wherever it was in between; another's is put aside
# --keep    a folder for the results.h5 of the campaigns, to be compared elsewhere if h5py is missing here
# --device cpu  tries this script where there is no GPU, with small sizes; wants --out
# DINF_PYTHON: a Python with PyTorch. Exit status, of the parts asked for: 0 every one good; 1 one failed or ran out
# of its own time; 75 some are left: the same command goes on; 3 some lack a program, mpirun or a Python package
# here; 77 no GPU.
set -euo pipefail
here=$PWD
cd -P "$(dirname "$0")/../.."
root=$PWD
. jobs/lib.sh
. tests/gpu/parts.sh
. tests/gpu/report.sh

absolute() { case $1 in /*) printf '%s' "$1" ;; *) printf '%s' "$here/$1" ;; esac; }
wants() { [ $# -ge 2 ] || { echo "error: $1 wants a value" >&2; exit 2; }; }

place=$root/build bundle= budget=540 only=() without=() again= out= reports=$root/tests/gpu/reports keep= device=cuda
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help) sed -n '2,18s/^# \{0,1\}//p' "$root/tests/gpu/run.sh"; exit 0 ;;
    --list) parts_table; exit 0 ;;
    --build) wants "$@"; place=$(absolute "$2"); shift 2 ;;
    --bundle) wants "$@"; place=$(absolute "$2") bundle=1; shift 2 ;;
    --budget) wants "$@"; budget=$2; shift 2 ;;
    --again) again=1; shift ;;
    --out) wants "$@"; out=$(absolute "$2"); shift 2 ;;
    --reports) wants "$@"; reports=$(absolute "$2"); shift 2 ;;
    --keep) wants "$@"; keep=$(absolute "$2"); shift 2 ;;
    --device) wants "$@"; device=$2; shift 2 ;;
    --only | --without)
        declare -n named=${1#--}
        shift
        while [ $# -gt 0 ] && [[ $1 != -* ]]; do named+=("$1"); shift; done
        ;;
    *) echo "error: no option $1" >&2; exit 2 ;;
    esac
done
case $budget in '' | *[!0-9]*) echo "error: --budget wants seconds, not '$budget'" >&2; exit 2 ;; esac
case $device in cuda | cpu) ;; *) echo "error: --device is cuda or cpu" >&2; exit 2 ;; esac
for part in ${only[@]+"${only[@]}"} ${without[@]+"${without[@]}"}; do
    parts_table | grep -q "^$part " || { echo "error: no part $part; --list names them" >&2; exit 2; }
done
[ -d "$place" ] || { echo "error: no folder $place" >&2; exit 2; }
place=$(cd -P "$place" && pwd)
called=BUILD # how the report names the folder of the programs
[ -z "$bundle" ] || called=BUNDLE
begin=$SECONDS

# ---- the programs, the GPU, the report's name

export DINF PLACE=$place BUNDLE=$bundle DEVICE=$device ROOT=$root KEEP_RESULTS=$keep DINF_TEST_DEVICE=$device
DINF=$(program dinf) || { echo "error: no dinf in $place" >&2; exit 2; }
# mpirun of a bundle, compute-sanitizer, nvidia-smi
PATH=$(dirname "$DINF"):$PATH:${CUDA_HOME:-/usr/local/cuda}/bin:/usr/local/nvidia/bin
for python in "${DINF_PYTHON:-}" python3 /usr/bin/python3; do
    if [ -n "$python" ] && "$python" -c 'import torch' 2>/dev/null; then break; fi
done
export PYTHON=$python DINF_PYTHON=$python DINF_MPIRUN
revision=$("$DINF" --version | sed -n 's/.*(\(.*\)).*/\1/p')
cpu_model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
driver=
if [ "$device" = cuda ]; then
    if ! has_gpu; then
        echo "SKIP: no GPU that dinf can use here"
        why_no_gpu
        exit 77
    fi
    gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1) || true
    driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1) || true
    gpu=${gpu:-GPU}
else
    [ -n "$out" ] || { echo "error: --device cpu wants --out: its report is none of a GPU" >&2; exit 2; }
    gpu="no GPU (a trial of the script)"
fi
program_line="$revision dinf $(sha_of dinf) libdinf_cuda.so $(sha_of libdinf_cuda.so) on $gpu, driver ${driver:-none}"
name=$(printf '%s' "$gpu" | tr -cs 'A-Za-z0-9' '-' | sed 's/-$//')
[ -n "$out" ] || out=$reports/$revision-$name-$(printf '%s' "$program_line" | sha256sum | cut -c 1-6).md
mkdir -p "$(dirname "$out")"

WORK=$(mktemp -d "${TMPDIR:-/tmp}/dinf-gpu.XXXXXX")
# What PyTorch compiles outlives this call: a benchmark that was cut short does not compile it again.
: "${TORCHINDUCTOR_CACHE_DIR:=${TMPDIR:-/tmp}/dinf-gpu-inductor}" "${TRITON_CACHE_DIR:=${TMPDIR:-/tmp}/dinf-gpu-triton}"
export TORCHINDUCTOR_CACHE_DIR TRITON_CACHE_DIR
export WORK TMPDIR=$WORK
trap 'rm -rf "$WORK"' EXIT
mkdir "$WORK/sections" "$WORK/json"
read_report

# ---- the parts

# run_part PART LIMIT WHAT: figures of one that was interrupted or failed are kept, for its script to go on from
run_part() {
    local part=$1 limit=$2 what=$3 given=$(($2 < left ? $2 : left)) started=$SECONDS code=0 status
    dinf_say "$part, at most $given s: $what"
    case $(status_of "$part") in 'cut short' | failed | 'out of time') ;; *) rm -f "$WORK/json/$part".*json ;; esac
    begun=$(date -u '+%F %T UTC')
    timeout -k 10 "$given" bash tests/gpu/parts.sh "$part" >"$WORK/log" 2>&1 </dev/null || code=$?
    case $code in
    0) status=ok ;;
    77) if trial; then status=skipped; else status='not shown'; fi ;;
    78) status='not shown' ;;
    124 | 137) status='out of time'; [ "$given" -ge "$limit" ] || status='cut short' ;;
    *) status=failed; echo "exit status $code" >>"$WORK/log" ;;
    esac
    section "$part" "$status" $((SECONDS - started)) "$given" "$what"
    write_report
    dinf_say "$part: $status after $((SECONDS - started)) s"
}

asked=()
while read -r part limit least uses what; do
    [ ${#only[@]} = 0 ] || [[ " ${only[*]} " == *" $part "* ]] || continue
    [[ " ${without[*]-} " == *" $part "* ]] || asked+=("$part")
done < <(parts_table)

write_report
while read -r part limit least uses what; do
    [[ " ${asked[*]} " == *" $part "* ]] || continue
    [ ${#only[@]} -gt 0 ] || ! finished "$part" || continue
    left=$((budget - (SECONDS - begin)))
    case $part-$(status_of "$part") in
    bench-step*-'cut short' | bench-thefts*-'cut short' | bench-gmm-'cut short') least=$((least / 3)) ;; # figures are kept
    esac
    ! trial || least=1
    if [ "$left" -lt "$least" ]; then
        dinf_say "$part: takes about $least s, $left s are left"
    else
        run_part "$part" "$limit" "$what"
    fi
done < <(parts_table)

dinf_say "report: ${out#"$root"/}"
verdict "${asked[@]}"
