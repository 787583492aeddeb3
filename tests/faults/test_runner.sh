#!/usr/bin/env bash
# The runner sees what is bad: programs that do each bad thing when a run is gone on with.
#   DINF=build/dinf tests/faults/test_runner.sh
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${DINF:?the program to test}"
work=$(mktemp -d "${TMPDIR:-/tmp}/dinf-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
export DINF_REAL=$DINF
failed=0

cat >"$work/dinf" <<'PROGRAM'
#!/usr/bin/env bash
dir=$4 # run CONFIG --out DIR
again=$([ -e "$dir/plan.json" ] && [ "${OMPI_COMM_WORLD_RANK:-0}" = 0 ] && echo yes)
if [ "$again" ]; then
    case $WAY in
    stuck) echo "no" >&2; exit 1 ;;
    loop) echo "later" >&2; exit 75 ;;
    hang) exec sleep 600 ;;
    odd) if [ ! -e "$dir/odd" ]; then touch "$dir/odd"; exit 9; fi ;;
    unasked) if [ ! -e "$dir/unasked" ]; then touch "$dir/unasked"; echo "later" >&2; exit 75; fi ;;
    esac
fi
"$DINF_REAL" "$@" || exit
[ "$again" ] || exit 0
case $WAY in
value) "$PYTHON" -c "import h5py; f = h5py.File('$dir/results.h5', 'r+'); f['tasks'][0] = f['tasks'][1]" ;;
weight) f=$(find "$dir/tasks" -name '*.safetensors' | head -n 1); printf x | dd of="$f" bs=1 seek=$(($(stat -c %s "$f") - 1)) conv=notrunc status=none ;;
unreadable) echo >"$dir/results.h5" ;;
file) touch "$dir/tasks/0.h5.tmp.1" ;;
process) setsid sleep 600 >/dev/null 2>&1 & ;;
esac
PROGRAM
chmod +x "$work/dinf"

# sees WAY CONFIG WHAT: the runner fails and names the seed and the outcome
sees() {
    local out status=0
    out=$(WAY=$1 PYTHON=${DINF_PYTHON:-/usr/bin/python3} "$here/run.sh" 1 --seed 3 --dinf "$work/dinf" \
        --kind "status.json" --config "$2" --limit 5 2>&1) || status=$?
    if [ "$status" = 1 ] && grep -q "^1/1 seed 3, status.json: .*\b$3" <<<"$out" && grep -q "run.sh 1 --seed 3" <<<"$out"; then
        echo "ok $1"
    else
        echo "FAIL $1 (status $status): $out"
        failed=1
    fi
}
sees value campaign wrong
sees weight campaign wrong
sees unreadable mock wrong
sees stuck mock stuck
sees loop mock "loop of 75"
sees hang mock hang
sees odd mock "odd status"
sees unasked mock "75 unasked"
sees file mock "file left"
sees process mock "process left"
out=$(WAY=none "$here/run.sh" 1 --seed 3 --dinf "$work/dinf" --kind "status.json" --config mock 2>&1) || { echo "FAIL none: $out"; failed=1; }
exit $failed
