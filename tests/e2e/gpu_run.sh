#!/usr/bin/env bash
# tests/gpu/run.sh, its parts and the benchmarks that it starts, with small sizes and without a GPU.
#   tests/e2e/gpu_run.sh BUILD
set -euo pipefail
build=$(readlink -f "$1")
cd "$(dirname "$0")/../.."
. jobs/lib.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/dinf-gpu-run.XXXXXX")
trap 'rm -rf "$work"' EXIT
export DINF_PYTHON
slow="table-fp32 nn-golden nn-gradient nn-feed" # run as tests of their own

# expect STATUS OPTIONS...: of run.sh; what it says goes to log
expect() {
    local want=$1 got=0
    shift
    tests/gpu/run.sh --budget 200 "$@" >"$work/log" 2>&1 || got=$?
    [ "$got" = "$want" ] && return 0
    echo "FAIL: status $got instead of $want: run.sh $*"
    cat "$work/log"
    [ ! -s "$work/report.md" ] ||
        sed -n '/^<!-- part .* \(failed\|out of time\|not shown\) -->/,/^<!-- end/p' "$work/report.md"
    exit 1
}
says() { grep -q -- "$1" "${2:-$work/log}" || { echo "FAIL: no word of: $1"; cat "$work/log"; exit 1; }; }
began() { grep -c ', at most' "$work/log" || true; }

good=0
"$DINF_PYTHON" -c 'import torch, numpy' 2>/dev/null || good=3 # parts are not shown
trial=(--device cpu --build "$build" --out "$work/report.md")
expect 75 "${trial[@]}" --budget 0
[ "$(began)" = 0 ] || { echo "FAIL: began parts in no time"; exit 1; }
expect $good "${trial[@]}" --without $slow
says '| bench-gmm | ok |' "$work/report.md"
[ $good = 3 ] || says '| EM, full 2000 x 64, 5 |' "$work/report.md"
says '| SimCLR step, bf16: over PyTorch, eager | 1.5x |  | not measured' "$work/report.md"
! grep -nF -e "$PWD/" -e "$build/" "$work/report.md" || { echo "FAIL: folders of this machine"; exit 1; }

# carried elsewhere: gone on with; of another program: put aside
mkdir "$work/there"
cp "$work/report.md" "$work/there/r.md"
trial=(--device cpu --build "$build" --out "$work/there/r.md" --without $slow)
expect $good "${trial[@]}"
[ "$(began)" = 0 ] || [ $good = 3 ] || { echo "FAIL: parts were done again"; cat "$work/log"; exit 1; }
sed -i 's/^<!-- for .* dinf /&0/' "$work/there/r.md"
expect 75 "${trial[@]}" --budget 0
[ -s "$work/there/r.1.md" ] || { echo "FAIL: nothing was put aside"; exit 1; }

# missing: 3; failed: 1, also beside parts that are missing or left; again only if told
mkdir "$work/fake"
ln -s "$build/dinf" "$work/fake/dinf"
printf '#!/bin/sh\nexit 1\n' >"$work/fake/nn_test_resume"
chmod +x "$work/fake/nn_test_resume"
fake=(--device cpu --build "$work/fake" --out "$work/fake.md")
expect 3 "${fake[@]}" --only nn-golden
expect 1 "${fake[@]}" --only nn-golden nn-resume
expect 1 "${fake[@]}" --budget 0
parts=$(tests/gpu/run.sh --list | cut -d ' ' -f 1 | grep -vx nn-resume)
expect 1 "${fake[@]}" --without $parts
[ "$(began)" = 0 ] || { echo "FAIL: a failed part was begun again"; exit 1; }
printf '#!/bin/sh\nexit 0\n' >"$work/fake/nn_test_resume"
expect 0 "${fake[@]}" --without $parts
says 'test program is another one'
expect 2 "${fake[@]}" --only nowhere

if ! "$build/dinf" list devices | grep -q ' cuda ' || [ -n "$("$build/dinf" list devices | grep -o 'not here')" ]; then
    expect 77 --build "$build"
    says 'oneDNN'
    says 'are looked for'
fi
echo passed
