#!/bin/sh
# Fuzzes every parser for SECONDS each (default 60) with clang's libFuzzer, and
# adds to tests/fuzz/corpus what reaches new code. Stops at the first crash.
# usage: tests/fuzz/run.sh [SECONDS] [NAME...]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-$here/../../build-fuzz}
seconds=${1:-60}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- cifar npy safetensors config dataset
cmake -S "$here/../.." -B "$build" -G Ninja -DCMAKE_C_COMPILER=clang -DDINF_FUZZ=ON \
    -DDINF_SANITIZE=address,undefined -DDINF_NATIVE=OFF >/dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
/usr/bin/python3 "$here/make_seeds.py" "$work/seeds"
for name in "$@"; do
    ninja -C "$build" -j"${JOBS:-2}" "fuzz_$name" >/dev/null
    corpus=$here/corpus/$name
    mkdir -p "$corpus" "$work/$name" "$work/small"
    cp "$work/seeds/$name"/* "$work/$name"
    echo "== $name, $seconds s"
    "$build/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$build/$name-" "$work/$name" "$corpus" 2>"$build/$name.log" ||
        { tail -40 "$build/$name.log"; exit 1; }
    # smallest set that covers the same; named by content, so that runs do not collide
    "$build/tests/fuzz/fuzz_$name" -merge=1 -verbosity=0 "$work/small" "$corpus" "$work/$name" 2>/dev/null
    (cd "$work/small" && ls -Sr | tail -n +191 | xargs -r rm) # the largest go if they are many
    rm -rf "$corpus" && mkdir "$corpus" && cp "$work/small"/* "$corpus" && rm -rf "$work/small"
    grep -E "executed_units|peak_rss" "$build/$name.log"
    echo "$name: $(ls "$corpus" | wc -l) inputs kept"
done
