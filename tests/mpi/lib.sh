# Shared by the tests of whole runs. $DINF: the program.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${DINF:?the program to test}"
. "$here/../../jobs/lib.sh"
export DINF_PROGRESS=plain

work=$(mktemp -d "${TMPDIR:-/tmp}/dinf-test.XXXXXX")
cleanup() {
    local status=$?
    if [ $status -ne 0 ] && [ -n "${KEEP:-}" ]; then echo "kept: $work"; else rm -rf "$work"; fi
}
trap cleanup EXIT
cd "$work"

fail() { echo "FAIL: $*"; for f in *.err; do [ ! -s "$f" ] || { echo "--- $f"; tail -n 30 "$f"; }; done; exit 1; }

# run STATUS RANKS ARGUMENTS...: dinf run on so many ranks, standard error to last.err
run() {
    local want=$1 ranks=$2 got=0
    shift 2
    if [ "$ranks" = 0 ]; then
        "$DINF" run "$@" 2>last.err || got=$?
    else
        timeout -k 5 120 $DINF_MPIRUN -n "$ranks" "$DINF" run "$@" </dev/null >last.out 2>last.err || got=$?
    fi
    [ "$got" = "$want" ] || fail "status $got instead of $want: run $* on $ranks ranks"
}

same() { "$DINF_PYTHON" "$here/compare.py" "$1" "$2" || fail "$1 and $2 differ"; }
count() { grep -c "$2" "$1/journal.jsonl" || true; }
says() { grep -q -- "$2" "$1" || fail "$1 does not say: $2"; }
# state DIR NAME: of one task
state() { "$DINF" status "$1" --all | awk -v n="$2" '$NF == n { print $1 }'; }
# started DIR N: until so many tasks have started (at most 20 s)
started() {
    local i
    for i in $(seq 400); do
        [ "$(count "$1" '"event":"start"' 2>/dev/null)" -ge "$2" ] 2>/dev/null && return 0
        sleep 0.05
    done
    fail "$1: $2 tasks did not start"
}
