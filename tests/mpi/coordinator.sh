#!/usr/bin/env bash
# The coordinator with mock tasks: order, retries, failures, limits, locks,
# stopping and going on. DINF=build/dinf tests/mpi/coordinator.sh [CASE]...
. "$(dirname "$0")/lib.sh"

campaign() { # retries seconds
    echo "campaign = { name = \"mock\"; seed = 0; trials = 1; threads = 1; retries = ${1:-1}; retry_seconds = 0.05; task_seconds = ${2:-0.0}; };"
}
{ campaign; cat <<'CFG'
mock = ( { name = "a"; count = 3; seconds = 0.05; steps = 4; },
         { name = "b"; count = 6; seconds = 0.02; after = "a"; value = [ 1.0, 2.5 ]; },
         { name = "c"; seconds = 0.02; after = [ "a", "b" ]; } );
CFG
} >graph.cfg

case_ranks() { # the same results on any number of ranks; inputs before what needs them
    local n
    run 0 0 graph.cfg --out alone
    for n in 1 2 4; do
        run 0 $n graph.cfg --out r$n
        same alone r$n
    done
    run 0 3 graph.cfg --out inproc --in-process
    same alone inproc
    [ "$(count r4 '"event":"done"')" = 16 ] || fail "16 tasks, not $(count r4 '"event":"done"')"
    run 0 2 graph.cfg --out r2
    [ "$(count r2 '"event":"start"')" = 16 ] || fail "what was done was done again"
    ls r2/work | grep -q . && fail "work folders are left behind"
    [ -f r2/results.h5 ] || fail "no results.h5"
    "$DINF_PYTHON" -c 'import json; s = json.load(open("r4/status.json")); assert s["running"] == 0 and s["done"] == s["total"] == 16 and s["fraction"] == 1, s' ||
        fail "the last status is not that of the end"
    "$DINF_PYTHON" - r2/results.h5 >last.out <<'PY'
import sys, h5py
for name, value in sorted(h5py.File(sys.argv[1]).attrs.items()):
    print(name, value)
PY
    for l in mpi hdf5 onednn openblas libconfig; do says last.out "library_$l .*[0-9]"; done
    rm r2/results.h5
    "$DINF" collect r2
    same alone r2
    echo old >r2/results.h5 # as after a kill before the last rebuild
    run 0 2 graph.cfg --out r2
    same alone r2
    local task=$(ls r2/tasks/*.h5 | head -n 1)
    : >"$task"
    "$DINF" collect r2 2>last.err && fail "collect: status 0 without a task's file"
    says last.err "$(basename "$task") is damaged and left out"
    run 0 0 graph.cfg --out r2 # what is damaged is computed again
    says last.err "are damaged, missing or another task's: it is done again"
    same alone r2
}

case_failures() {
    { campaign 2; cat <<'CFG'
mock = ( { name = "good"; count = 4; }, { name = "again"; fail = 2; steps = 4; seconds = 0.1; },
         { name = "shaky"; crash = 1; }, { name = "bad"; fail = 9; }, { name = "worse"; crash = 9; },
         { name = "below"; after = "bad"; }, { name = "deep"; after = "below"; },
         { name = "fine"; after = [ "good", "again", "shaky" ]; } );
CFG
    } >failures.cfg
    local n
    for n in 1 3; do
        run 1 $n failures.cfg --out f$n
        says last.err "mock:bad/0 failed: mock failure 3 of 9"
        [ "$(count f$n '"final":true')" = 2 ] || fail "two tasks fail for good"
        [ "$(count f$n '"final":false')" = 7 ] || fail "2 + 1 + 2 + 2 attempts are tried again"
        grep -q 'killed by signal 11 (Segmentation fault)' f$n/journal.jsonl || fail "the crash is not named"
        for t in bad:failed worse:failed below:skipped deep:skipped again:done shaky:done fine:done; do
            [ "$(state f$n mock:${t%:*}/0)" = "${t#*:}" ] || fail "${t%:*} is $(state f$n mock:${t%:*}/0)"
        done
    done
    same f1 f3
    # a new run tries again what failed for good, and only that
    run 1 2 failures.cfg --out f3
    [ "$(count f3 '"event":"done"')" = 7 ] || fail "done tasks ran again"
}

case_limit() { # one that can be stopped, one that cannot
    { campaign 0 0.5; cat <<'CFG'
mock = ( { name = "soft"; hang = 1; }, { name = "hard"; hang = 2; }, { name = "ok"; } );
CFG
    } >limit.cfg
    run 1 3 limit.cfg --out l --grace 0.5
    grep -q 'exceeded the time limit of 0.5 s"' l/journal.jsonl || fail "no time limit for soft"
    grep -q 'exceeded the time limit of 0.5 s and had to be killed' l/journal.jsonl || fail "no time limit for hard"
    [ "$(state l mock:ok/0)" = done ] || fail "ok did not run"
}

{ campaign; cat <<'CFG'
mock = ( { name = "long"; count = 4; seconds = 1.0; steps = 20; }, { name = "last"; count = 2; after = "long"; } );
CFG
} >long.cfg

case_stop() { # a signal, 75, and the same command goes on
    local n pid rank signal target got
    run 0 4 long.cfg --out whole
    for n in 1 3; do
        for signal in USR1 TERM; do
            for target in launcher rank; do
                # mpirun answers TERM by killing; it is for ranks
                [ $signal$target != TERMlauncher ] || continue
                rm -rf s
                $DINF_MPIRUN -n $n "$DINF" run long.cfg --out s </dev/null 2>stop.err &
                pid=$!
                started s 1
                sleep 0.4
                rank=$(pgrep -P $pid | tail -n 1)
                got=0
                if [ $target = launcher ]; then kill -$signal $pid; else kill -$signal "$rank"; fi
                wait $pid || got=$?
                [ $got = 75 ] || fail "status $got after $signal to a $target of $n ranks"
                [ "$(count s '"event":"stopped"')" -ge 1 ] || fail "nothing is journalled as stopped"
                [ "$(count s '"saved":0[.]')" -ge 1 ] || fail "the saved share of the stopped task is not journalled"
                says stop.err "the same command goes on"
                run 0 $n long.cfg --out s
                same whole s
            done
        done
    done
    # a task in the rank itself hears of the stop while it runs
    rm -rf s
    $DINF_MPIRUN -n 3 "$DINF" run long.cfg --set mock.long.seconds=300 --in-process --out s </dev/null 2>stop.err &
    pid=$! got=0
    started s 2
    sleep 0.4
    kill -USR1 "$(pgrep -P $pid | sort -n | head -n 1)"
    wait $pid || got=$?
    [ $got = 75 ] || fail "status $got after a stop of tasks in the ranks"
    [ "$(count s '"event":"stopped"')" = 2 ] || fail "tasks in the ranks did not stop"
    rm -rf s
    run 0 3 long.cfg --out s
    # what was saved was not done again: the second part is shorter than the whole
    grep -q '"attempt":1' s/journal.jsonl || fail "a stop counts as an attempt"
}

case_frozen() { # a rank that is frozen is noticed, the others save, and the run can be started again
    local pid ranks rank got=0
    $DINF_MPIRUN -n 3 "$DINF" run long.cfg --set mock.long.seconds=60 --out z --silence 12 --grace 2 </dev/null 2>frozen.err &
    pid=$!
    started z 2
    ranks=$(pgrep -P $pid | sort -n)
    kill -STOP "$(tail -n 1 <<<"$ranks")"
    wait $pid || got=$?
    [ $got = 70 ] || fail "status $got after a rank was frozen"
    says z/journal.jsonl 'has said nothing for'
    says z/journal.jsonl '"event":"failed".*"host":"[^"]'
    [ "$(count z '"event":"stopped"')" = 1 ] || fail "the other rank's task is not saved"
    # asked to stop while one is frozen: it ends all the same
    rm -r z
    got=0
    $DINF_MPIRUN -n 3 "$DINF" run long.cfg --set mock.long.seconds=60 --out z --grace 1 </dev/null 2>frozen.err &
    pid=$!
    started z 2
    ranks=$(pgrep -P $pid | sort -n)
    kill -STOP "$(tail -n 1 <<<"$ranks")"
    kill -USR1 "$(head -n 1 <<<"$ranks")"
    wait $pid || got=$?
    [ $got = 70 ] || fail "status $got after a stop with a frozen rank"
    [ "$(count z '"event":"stopped"')" = 1 ] || fail "the other rank's task is not saved"
    # one without a task holds up nothing, not even the end
    rm -r z
    got=0
    { campaign; echo 'mock = ( { name = "one"; seconds = 4.0; } );'; } >one.cfg
    $DINF_MPIRUN -n 3 "$DINF" run one.cfg --out z --silence 5 </dev/null 2>frozen.err &
    pid=$!
    started z 1
    ranks=$(pgrep -P $pid | sort -n)
    for rank in $(tail -n 2 <<<"$ranks"); do pgrep -P "$rank" >/dev/null || kill -STOP "$rank"; done
    wait $pid || got=$?
    [ $got = 70 ] || fail "status $got after an idle rank was frozen"
    says frozen.err 'finished after'
    says frozen.err 'a rank has not come to the end within 5 s'
}

case_elsewhere() { # a second attempt goes to another rank, after a pause that grows
    { campaign 2 | sed 's/retry_seconds = 0.05/retry_seconds = 0.4/'; echo 'mock = ( { name = "x"; count = 3; fail = 2; } );'; } >else.cfg
    run 0 4 else.cfg --out e
    "$DINF_PYTHON" - e/journal.jsonl <<'PY' || fail "retries"
import json, sys
last, rank, n = {}, {}, 0
for e in map(json.loads, open(sys.argv[1])):
    if e["event"] == "start" and e["id"] in last:
        assert e["rank"] != rank[e["id"]], "the rank that failed"
        assert e["t"] - last[e["id"]] >= 0.39 * 2 ** (e["attempt"] - 2), "no pause"
        n += 1
    if e["event"] == "failed":
        last[e["id"]], rank[e["id"]] = e["t"], e["rank"]
assert n == 6, n
PY
}

case_files() { # what cannot be written: the status is a nuisance, the journal the end, and neither a stop
    run 0 0 graph.cfg --out w
    rm -r w/status.json w/tasks/*
    mkdir -p w/status.json/in-the-way
    run 0 2 graph.cfg --out w
    says last.err "the status could not be written, and the run goes on"
    local pid got=0
    { campaign; echo 'mock = ( { name = "short"; seconds = 2.0; }, { name = "long"; seconds = 300.0; steps = 3000; } );'; } >two.cfg
    $DINF_MPIRUN -n 3 "$DINF" run two.cfg --out v </dev/null 2>full.err &
    pid=$!
    started v 2
    prlimit --pid "$(pgrep -P $pid | sort -n | head -n 1)" --fsize=1 # rank 0 can write no file any more
    wait $pid || got=$?
    [ $got = 3 ] || fail "status $got after the journal could not be written"
    says full.err "cannot write .*/v/journal.jsonl"
    says full.err "stopped mock:long/0"
}

case_lock() {
    local pid
    $DINF_MPIRUN -n 2 "$DINF" run long.cfg --set mock.long.seconds=60 --out k </dev/null 2>first.err &
    pid=$!
    started k 1
    cp k/plan.json plan.before
    run 2 1 long.cfg --set mock.long.seconds=60 --out k
    says last.err "k is in use by another run: process [0-9]* on "
    run 2 1 graph.cfg --out k
    says last.err "k holds the campaign .*, which shares no task with this one: take another --out"
    cmp k/plan.json plan.before || fail "the second run changed the plan"
    "$DINF" status k | grep -q "running on" || fail "status does not say that it runs"
    "$DINF" status k --json | "$DINF_PYTHON" -c 'import json, sys; s = json.load(sys.stdin); assert s["live"] and s["running"] == 1' ||
        fail "status --json"
    kill -USR1 $pid
    wait $pid || true
    "$DINF" status k | grep -q "not running" || fail "status does not say that it ended"
    sed -i '/"event":"end"/d; /"event":"stopped"/d' k/journal.jsonl # as a kill leaves it, and long ago
    sed -i -E 's/"time":[0-9.e+]+/"time":1000/' k/status.json
    "$DINF" status k >last.out
    says last.out "the run was killed"
    says last.out "0 running, 6 remaining"
}

case_usage() { # nothing is written, status 2, every error told
    echo 'campaign = { name = "x"; sed = 1; }; mock = ( { name = "a"; secnds = 1; } );' >bad.cfg
    run 2 3 bad.cfg --out never
    says last.err 'bad.cfg:1: .*sed'
    says last.err 'bad.cfg:1: .*secnds'
    [ ! -e never ] || fail "something was written"
    run 2 2 missing.cfg --out never
    run 2 2
    run 2 1 graph.cfg --out never --grase 3
    run 2 1 graph.cfg --out never --set campaign.seed
    run 2 1 graph.cfg graph.cfg
    run 2 1 graph.cfg --out bad.cfg
    run 2 1 "$here/../e2e/tiny.cfg" --device cpu --set 'encoders.victim.train.precision="bf16"' --out never
    says last.err 'has precision = "bf16", which the device cpu does not compute in'
    [ ! -e never ] || fail "something was written"
    got=0
    SLURM_NTASKS=4 "$DINF" run graph.cfg --out never 2>last.err || got=$?
    [ $got = 2 ] && says last.err "Slurm gave 4 tasks, but MPI sees one rank" && [ ! -e never ] || fail "wrong launcher"
    got=0
    "$DINF" status . 2>last.err || got=$?
    [ $got = 2 ] && says last.err "not a run directory" || fail "status of no run"
}

case_task() { # one task alone, by name and by the beginning of its id
    local id
    run 0 1 graph.cfg --out t
    id=$("$DINF" status t --all | awk '$NF == "mock:a/1" { print $2 }')
    rm t/tasks/$id*.h5
    [ "$(state t mock:a/1)" = ready ] || fail "a result that is gone is done"
    "$DINF" task t mock:a/1 2>last.err || fail "dinf task by name"
    ls t/tasks/$id*.h5 >/dev/null || fail "no result"
    "$DINF" task t "$id" 2>last.err || fail "dinf task by id"
    got=0
    "$DINF" task t nothing 2>last.err || got=$?
    [ $got = 2 ] && says last.err "there is no task \"nothing\"" || fail "unknown task"
}

case_binding() { # every task knows which of its machine's ranks started it: it chooses a GPU by that
    local pid child
    $DINF_MPIRUN -n 4 "$DINF" run long.cfg --set mock.long.seconds=60 --out b </dev/null 2>first.err &
    pid=$!
    started b 3
    for i in $(seq 100); do
        for child in $(pgrep -f "dinf task $PWD/b " || true); do
            tr '\0' '\n' <"/proc/$child/environ" 2>/dev/null | sed -n 's/^DINF_LOCAL_RANK=//p'
        done | sort >last.out
        [ "$(wc -l <last.out)" -lt 3 ] || break
        sleep 0.05
    done
    kill -USR1 $pid
    wait $pid || true
    [ "$(tr '\n' ' ' <last.out)" = "1 2 3 " ] || fail "local ranks of the tasks: $(tr '\n' ' ' <last.out)"
    if "$DINF" list devices | grep -A 3 cuda | grep -q "not here"; then
        run 2 1 long.cfg --device cuda --out never
        says last.err "device \"cuda\" cannot be used here"
        [ ! -e never ] || fail "something was written"
    fi
}

[ $# -gt 0 ] || set -- ranks failures limit stop frozen elsewhere files lock usage task binding
for c in "$@"; do
    case_$c
    echo "ok $c"
done
