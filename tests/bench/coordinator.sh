#!/usr/bin/env bash
# The coordinator's overhead: tasks a second for mock tasks that do nothing but
# write their result, on 3 ranks (two work), with and without a child process per
# task; and the peak memory of rank 0.
#   DINF=build/dinf tests/bench/coordinator.sh [TASKS (10000)]
. "$(dirname "$0")/../mpi/lib.sh"
n=${1:-10000}
for way in true false; do
    [ $way = true ] || n=$((n / 5)) # a child costs milliseconds: fewer do
    cat >bench.cfg <<CFG
campaign = { name = "bench"; seed = 0; trials = 1; threads = 1; retries = 0; task_seconds = 0.0; };
mock = ( { name = "m"; count = $n; seconds = 0.0; in_process = $way; } );
CFG
    run 0 3 bench.cfg --out $way
    "$DINF_PYTHON" - $way "$n" <<'PY'
import json, sys
way, n = sys.argv[1], int(sys.argv[2])
events = [json.loads(line) for line in open(f"{way}/journal.jsonl")]
done = [e["t"] for e in events if e["event"] == "done"]
assert len(done) == n
seconds = max(done) - events[0]["t"]
busy = sum(e["seconds"] for e in events if e["event"] == "done")
print(f"{'in the rank' if way == 'true' else 'in a child ':11s} {n} tasks in {seconds:.1f} s: {n / seconds:.0f} tasks/s;"
      f" between tasks {1e3 * (2 * seconds - busy) / n:.2f} ms")
PY
    tail -n 1 last.err
done
