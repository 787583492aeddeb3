#!/usr/bin/env bash
# First contact, and every run on one machine: installs what is missing, builds,
# runs a campaign under mpirun, prints the verdicts and draws the figures.
#   jobs/local.sh                                  the demo
#   jobs/local.sh CONFIG [-n RANKS] [dinf options] any other config
# RANKS: one coordinates, the others work; if not given, a worker for as many cores
# as the config gives a task, or for each place on a GPU (see dinf_ranks in lib.sh).
# DINF_BUILD: build folder (build); DINF_RESTARTS: how often to start again (3).
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."
. jobs/lib.sh

config= ranks= out= options=() set=()
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -n) [ $# -ge 2 ] || { echo "error: -n wants a number of ranks" >&2; exit 2; }
        ranks=$2; shift 2 ;;
    --out) [ $# -ge 2 ] || { echo "error: --out wants a folder" >&2; exit 2; }
        out=$2; shift 2 ;;
    --out=*) out=${1#--out=}; shift ;;
    --set | --device | --grace) [ $# -ge 2 ] || { echo "error: $1 wants a value" >&2; exit 2; }
        options+=("$1" "$2")
        case $1 in --set) set+=("$1" "$2") ;; --device) set+=(--set "campaign.device=\"$2\"") ;; esac
        shift 2 ;;
    --set=*) options+=("$1"); set+=("$1"); shift ;;
    --device=*) options+=("$1"); set+=(--set "campaign.device=\"${1#--device=}\""); shift ;;
    -*) options+=("$1"); shift ;;
    *) [ -z "$config" ] || { echo "error: two configs, $config and $1" >&2; exit 2; }
        config=$1; shift ;;
    esac
done
absolute() { case $1 in /*) printf '%s' "$1" ;; *) printf '%s' "$here/$1" ;; esac; }
if [ -n "$config" ]; then config=$(absolute "$config"); else config=$PWD/configs/demo.cfg; fi
installed= # PREFIX/bin of `cmake --install`
if [ -x ../../bin/dinf ] && [ ! -e CMakeLists.txt ]; then installed=$(realpath ../../bin); fi
folder=$PWD
[ -z "$installed" ] || folder=$here # what is installed is not written to
if [ -n "$out" ]; then out=$(absolute "$out"); else out=$folder/runs/$(basename "$config" .cfg); fi
case $ranks in *[!0-9]* | 0) echo "error: -n wants a number of ranks, not '$ranks'" >&2; exit 2 ;; esac
[ -r "$config" ] || { echo "error: cannot read $config" >&2; exit 2; }

if [ -x bin/dinf ]; then # an unpacked bundle (containers/bundle.sh): nothing to install or to build
    build=bin PATH=$PWD/bin:$PATH
elif [ -n "$installed" ]; then
    build=$installed
else
    build=${DINF_BUILD:-build}
    dinf_install
    dinf_build "$build" dinf
fi
dinf_ranks "$build/dinf" "$config" ${set[@]+"${set[@]}"} || exit
[ -n "$ranks" ] || ranks=$DINF_RANKS
dinf_mps "$ranks"
dinf_say "running $config on $ranks ranks in $out"
status=0
dinf_supervise "$out" $DINF_MPIRUN -n "$ranks" "$build/dinf" run "$config" --out "$out" ${options[@]+"${options[@]}"} ||
    status=$?
case $status in
0 | 1)
    "$DINF_PYTHON" analysis/all.py "$out" || dinf_say "the figures could not be drawn"
    dinf_say "results: $out/results.h5"
    dinf_say "figures: $out/figures"
    dinf_say "journal and logs: $out/journal.jsonl, $out/logs; what ran: $build/dinf status $out"
    ;;
75) dinf_say "stopped with its state saved: the same command goes on" ;;
esac
exit "$status"
