#!/usr/bin/env bash
# Everything that only a GPU can tell, and one report of it in Markdown.
#   tests/gpu/run.sh [--build DIR | --bundle DIR] [--budget SECONDS] [--only PART...] [--out FILE] [--keep DIR]
#   tests/gpu/run.sh --list
# --build   a build folder with the cuda device (build); --bundle: what containers/bundle.sh packed
# --budget  when to stop starting parts, and the end of the last one (540)
# --only    these parts, again if need be; otherwise those that the report lacks
# --out     the report (tests/gpu/reports/DATE-GPU.md); given again with the same revision of the program, it is
#           completed: what was cut short by the budget or not begun is run, the rest is kept
# --keep    a folder for the results.h5 of the campaigns, to be compared elsewhere if h5py is missing here
# --device cpu  tries this script where there is no GPU, with small sizes; wants --out
# DINF_PYTHON: a Python with PyTorch. Exit status: 0 every part done and good; 1 a part failed or ran out of its
# own time; 75 parts are left: the same command goes on; 77 no GPU.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/../.."
root=$PWD
. jobs/lib.sh
. tests/gpu/parts.sh

absolute() { case $1 in /*) printf '%s' "$1" ;; *) printf '%s' "$here/$1" ;; esac; }
wants() { [ $# -ge 2 ] || { echo "error: $1 wants a value" >&2; exit 2; }; }

place=$root/build bundle= budget=540 only=() out= keep= device=cuda
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help) sed -n '2,15s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --list) parts_table; exit 0 ;;
    --build) wants "$@"; place=$(absolute "$2"); shift 2 ;;
    --bundle) wants "$@"; place=$(absolute "$2") bundle=1; shift 2 ;;
    --budget) wants "$@"; budget=$2; shift 2 ;;
    --out) wants "$@"; out=$(absolute "$2"); shift 2 ;;
    --keep) wants "$@"; keep=$(absolute "$2"); shift 2 ;;
    --device) wants "$@"; device=$2; shift 2 ;;
    --only)
        shift
        while [ $# -gt 0 ] && [[ $1 != -* ]]; do only+=("$1"); shift; done
        ;;
    *) echo "error: no option $1" >&2; exit 2 ;;
    esac
done
case $budget in '' | *[!0-9]*) echo "error: --budget wants seconds, not '$budget'" >&2; exit 2 ;; esac
case $device in cuda | cpu) ;; *) echo "error: --device is cuda or cpu" >&2; exit 2 ;; esac
for part in ${only[@]+"${only[@]}"}; do
    parts_table | grep -q "^$part " || { echo "error: no part $part; --list names them" >&2; exit 2; }
done
called=BUILD # how the report names the folder of the programs
[ -z "$bundle" ] || called=BUNDLE
begin=$SECONDS

# ---- the programs, the GPU, the report's name

export DINF PLACE=$place BUNDLE=$bundle DEVICE=$device ROOT=$root KEEP_RESULTS=$keep
DINF=$(program dinf) || { echo "error: no dinf in $place" >&2; exit 2; }
PATH=$(dirname "$DINF"):$PATH:${CUDA_HOME:-/usr/local/cuda}/bin # mpirun of a bundle, compute-sanitizer
for python in "${DINF_PYTHON:-}" python3 /usr/bin/python3; do
    if [ -n "$python" ] && "$python" -c 'import torch' 2>/dev/null; then break; fi
done
export PYTHON=$python DINF_PYTHON=$python DINF_MPIRUN
revision=$("$DINF" --version | sed -n 's/.*(\(.*\)).*/\1/p')
if [ "$device" = cuda ]; then
    if ! has_gpu; then
        why=$("$DINF" list devices | tr -s ' \n' ' ' | sed -n 's/.*\[not here: \([^]]*\)\].*/\1/p')
        echo "SKIP: no GPU that dinf can use here: ${why:-this program has no cuda device}"
        exit 77
    fi
    gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1) || true
    gpu=${gpu:-GPU}
else
    [ -n "$out" ] || { echo "error: --device cpu wants --out: its report is none of a GPU" >&2; exit 2; }
    gpu="no GPU (a trial of the script)"
fi
name=$(printf '%s' "$gpu" | tr -cs 'A-Za-z0-9' '-' | sed 's/-$//')
[ -n "$out" ] || out=$root/tests/gpu/reports/$(date +%F)-$name.md
mkdir -p "$(dirname "$out")"

export WORK
WORK=$(mktemp -d "${TMPDIR:-/tmp}/dinf-gpu.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
mkdir "$WORK/sections" "$WORK/json"

# ---- the report: sections between marks, so that it is its own memory

if [ -s "$out" ]; then
    if grep -qxF "<!-- revision $revision -->" "$out"; then
        awk -v to="$WORK/sections" '/^<!-- part / { at = to "/" $3 } at { print >at }
            /^<!-- end / { if (at) close(at); at = "" }' "$out"
        # figures of earlier calls, for the parts that need them
        awk -v to="$WORK/json" '/^```json / { at = to "/" $2; next } /^```/ { if (at) close(at); at = "" }
            at { print >at }' "$out"
    else
        number=1
        while [ -e "${out%.md}.$number.md" ]; do number=$((number + 1)); done
        mv "$out" "${out%.md}.$number.md"
        dinf_say "the report is of another revision: kept as $(basename "${out%.md}").$number.md"
    fi
fi

status_of() { sed -n '1s/^<!-- part [^ ]* [0-9]* \(.*\) -->$/\1/p' "$WORK/sections/$1" 2>/dev/null || true; }
finished() { case $(status_of "$1") in ok | failed | skipped | 'out of time') ;; *) return 1 ;; esac; }

write_report() {
    local part limit least what seconds
    {
        echo "# The cuda device on: $gpu"
        echo "<!-- revision $revision -->"
        echo
        echo "Written by tests/gpu/run.sh; the program's revision is $revision${bundle:+, from a bundle}."
        echo "A part's time includes starting its processes. Absolute figures belong to this machine."
        echo
        echo "| part | status | time [s] | what |"
        echo "|---|---|---:|---|"
        while read -r part limit least what; do
            seconds=$(sed -n '1s/^<!-- part [^ ]* \([0-9]*\) .*/\1/p' "$WORK/sections/$part" 2>/dev/null) || true
            echo "| $part | $(status_of "$part" | grep . || echo 'not run') | $seconds | $what |"
        done < <(parts_table)
        while read -r part limit least what; do
            [ ! -e "$WORK/sections/$part" ] || { echo; cat "$WORK/sections/$part"; }
        done < <(parts_table)
    } >"$out.new"
    mv "$out.new" "$out"
}

# section PART STATUS SECONDS LIMIT WHAT: from $WORK/log; no folder names of this machine
section() {
    local lines file
    {
        echo "<!-- part $1 $3 $2 -->"
        echo "## $1: $2, $3 s of at most $4 s"
        echo
        echo "$5"
        echo
        echo '````text'
        lines=$(wc -l <"$WORK/log")
        if [ "$lines" -le 220 ]; then
            cat "$WORK/log"
        else
            head -n 60 "$WORK/log"
            echo "... $((lines - 200)) lines left out ..."
            tail -n 140 "$WORK/log"
        fi | tr -d '\000-\010\013-\037' | cut -c 1-400 |
            sed "s|$WORK|WORK|g; s|$place|$called|g; s|$root/||g; s|$PYTHON |python3 |g; s|^<!--|< !--|"
        echo '````'
        for file in "$WORK/json/$1".json "$WORK/json/$1".*.json; do
            [ -s "$file" ] || continue
            echo
            echo "\`\`\`json $(basename "$file")"
            cat "$file"
            echo '```'
        done
        echo "<!-- end $1 -->"
    } >"$WORK/section"
    mv "$WORK/section" "$WORK/sections/$1"
}

# ---- the parts

write_report
while read -r part limit least what; do
    if [ ${#only[@]} -gt 0 ]; then
        [[ " ${only[*]} " == *" $part "* ]] || continue
    else
        ! finished "$part" || continue
    fi
    left=$((budget - (SECONDS - begin)))
    if [ "$left" -lt "$least" ]; then
        dinf_say "$part: wants at least $least s, $left s are left"
        continue
    fi
    given=$((limit < left ? limit : left)) started=$SECONDS code=0
    dinf_say "$part, at most $given s: $what"
    rm -f "$WORK/json/$part".*json
    timeout -k 10 "$given" bash tests/gpu/parts.sh "$part" >"$WORK/log" 2>&1 </dev/null || code=$?
    case $code in
    0) status=ok ;;
    77) status=skipped ;;
    124 | 137) status='out of time'; [ "$given" -ge "$limit" ] || status='cut short' ;;
    *) status=failed; echo "exit status $code" >>"$WORK/log" ;;
    esac
    section "$part" "$status" $((SECONDS - started)) "$given" "$what"
    write_report
    dinf_say "$part: $status after $((SECONDS - started)) s"
done < <(parts_table)

result=0
while read -r part limit least what; do
    case $(status_of "$part") in
    ok | skipped) ;;
    failed | 'out of time') [ $result = 75 ] || result=1 ;;
    *) result=75 ;;
    esac
done < <(parts_table)
dinf_say "report: ${out#"$root"/}"
[ $result != 75 ] || dinf_say "parts are left: the same command goes on"
exit $result
