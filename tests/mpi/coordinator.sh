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
    local got=0 # what has not run has not finished, whatever a former run has
    DINF_RESTARTS=0 dinf_supervise r2 sh -c 'exit 127' || got=$?
    [ $got = 127 ] || fail "a command that does nothing ends with status $got"
    mv "$task" aside
    "$DINF" collect r2 2>last.err && fail "collect: status 0 without a task's file"
    says last.err "$(basename "$task") is missing and left out"
    mv aside "$task"
    "$DINF" collect r2
    same alone r2
    : >"$task"
    "$DINF" collect r2 2>last.err && fail "collect: status 0 with an empty file of a task"
    says last.err "$(basename "$task") is damaged and left out"
    run 0 0 graph.cfg --out r2 # what is damaged is computed again
    says last.err "tasks/$(basename "$task") is damaged or another task's: mock:.* is done again"
    [ -f "$task.damaged" ] || fail "what was damaged is not kept"
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
    local pid ranks got=0
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
}

case_saved() { # a task that cannot go on where it was stopped has saved nothing, whatever it had reported
    local pid got=0
    cat >embed.cfg <<'CFG'
campaign = { name = "embed"; seed = 0; threads = 1; device = "cpu"; };
datasets = ( { name = "all"; format = "procedural"; classes = 4; count = 12000; size = 32; },
             { name = "members"; of = "all"; begin = 0; count = 8000; },
             { name = "heldout"; of = "all"; begin = 8000; count = 4000; } );
encoders = ( { name = "victim"; role = "victim"; heldout = "heldout";
               train = { dataset = "members"; loss = "infonce"; arch = "resnet18"; width = 0.25; epochs = 1; batch = 16; max_steps = 2; }; } );
evaluate = { dataset_inference = { components = 2; }; };
CFG
    "$DINF" run embed.cfg --out o 2>embed.err &
    pid=$!
    for i in $(seq 600); do
        ! grep -Eq '"attempt":1,"fraction":0[.][0-9]+[^}]*"task":"embed:' o/status.json 2>/dev/null || break
        kill -0 $pid 2>/dev/null || fail "the run has ended"
        sleep 0.1
    done
    cp o/status.json reported.json
    kill -USR1 $pid
    wait $pid || got=$?
    grep -Eq '"attempt":1,"fraction":0[.][0-9]+[^}]*"task":"embed:' reported.json || fail "no task reported a share: $(cat reported.json)"
    [ $got = 75 ] || fail "status $got after SIGUSR1"
    [ "$(count o '"event":"stopped"')" = 1 ] || fail "no task was stopped"
    grep '"event":"stopped"' o/journal.jsonl | grep -Eq '"saved":0[,}]' || fail "$(grep stopped o/journal.jsonl)"
}

children_are_gone() { # DIR
    local i
    for i in $(seq 100); do
        pgrep -f "dinf task $PWD/$1 " >/dev/null || return 0
        sleep 0.05
    done
    fail "children are left behind"
}

case_silence() { # rank 0 hangs: the others save and end the run; an idle rank hangs: it is left behind
    local pid ranks got=0
    run 0 4 long.cfg --out whole
    $DINF_MPIRUN -n 3 "$DINF" run long.cfg --set mock.long.seconds=60 --out y --silence 6 --grace 1 </dev/null 2>silence.err &
    pid=$!
    started y 2
    sleep 7 # longer than the silence, and nothing happens: rank 0 gives signs
    kill -0 $pid && ! grep "has said nothing" silence.err || fail "rank 0 was silent"
    ranks=$(pgrep -P $pid | sort -n)
    kill -STOP "$(head -n 1 <<<"$ranks")"
    wait $pid || got=$?
    [ $got = 70 ] || fail "status $got after rank 0 was frozen"
    says silence.err "rank 0 has said nothing for"
    children_are_gone y
    ls y/work/*/* >/dev/null || fail "the tasks have not saved their state"
    status 0 y "; the same command goes on$"
    flock -n y/lock true || fail "the lock is held"
    # asked to stop while rank 0 is frozen
    rm -r y
    got=0
    $DINF_MPIRUN -n 3 "$DINF" run long.cfg --set mock.long.seconds=60 --out y --grace 1 </dev/null 2>silence.err &
    pid=$!
    started y 2
    ranks=$(pgrep -P $pid | sort -n)
    kill -STOP "$(head -n 1 <<<"$ranks")"
    kill -USR1 $pid
    wait $pid || got=$?
    [ $got = 70 ] || fail "status $got after a stop with rank 0 frozen"
    says silence.err "rank 0 has not ended the run"
    children_are_gone y
    # a rank without a task
    rm -r y
    got=0
    DINF_RESTARTS=0 dinf_supervise y $DINF_MPIRUN -n 4 "$DINF" run long.cfg --set mock.long.count=1 \
        --set mock.long.seconds=2 --set mock.last.count=1 --out y </dev/null 2>silence.err &
    pid=$!
    started y 1
    for rank in $(pgrep -P "$(pgrep -P $pid | head -n 1)" | sort -n | tail -n 3); do
        if ! pgrep -P "$rank" >/dev/null; then
            kill -STOP "$rank"
            break
        fi
    done
    wait $pid || got=$?
    [ $got = 0 ] || fail "status $got after an idle rank was frozen"
    says silence.err "rank [1-3] does not answer at the end of the run and is left behind"
    status 0 y "2 of 2 done"
}

case_retries() { # what lasts is not tried again, what passes is, also beyond the retries
    local error n
    { campaign 3 | sed 's/retry_seconds = 0.05/retry_seconds = 0.01/'; echo 'mock = ( { name = "x"; } );'; } >retries.cfg
    cat >failing.sh <<EOF
#!/bin/sh
[ "\$1" = task ] || exec "$DINF" "\$@"
echo "error: \$ERROR" >&2
exit 1
EOF
    chmod +x failing.sh
    for error in "1 an encoder takes square images of 3 channels, not 8 x 9 of 3" "1 there is no data format \"jpg\"" \
        "2 cannot open x.npy: No such file or directory" "2 cannot open x.npy: Permission denied" "4 something" \
        "8 cannot write y.h5: No space left on device" "8 cannot read x.npy: Input/output error" \
        "8 cannot start: Resource temporarily unavailable" "8 cannot open y.h5: Too many open files"; do
        n=${error%% *}
        rm -rf e5
        ERROR=${error#* } DINF_PROGRAM=$PWD/failing.sh run 1 0 retries.cfg --out e5
        [ "$(count e5 '"event":"failed"')" = "$n" ] || fail "$(count e5 '"event":"failed"') attempts instead of $n: ${error#* }"
    done
}

case_aside() { # where every attempt fails at once, few tasks are wasted: the rank is set aside
    local got=0
    { campaign 2; echo 'mock = ( { name = "x"; count = 30; seconds = 0.2; } );'; } >aside.cfg
    $DINF_MPIRUN -n 3 "$DINF" run aside.cfg --out i : -n 1 env DINF_PROGRAM=/bin/false "$DINF" run aside.cfg --out i </dev/null 2>aside.err || got=$?
    [ $got = 0 ] || fail "status $got with a rank on which nothing runs"
    says aside.err "rank 3 on .* gets no further tasks: several tasks failed there in a row"
    [ "$(count i '"event":"failed".*"rank":3')" = 3 ] || fail "$(count i '"event":"failed"') attempts failed there"
    [ "$(count i '"event":"failed"')" = 3 ] || fail "attempts failed elsewhere"
    # all fail everywhere: that is no rank's fault, and no rank is set aside
    { campaign 1; echo 'mock = ( { name = "x"; count = 12; fail = 9; } );'; } >aside.cfg
    run 1 4 aside.cfg --out j
    ! grep "no further tasks" last.err || fail "a rank is set aside though none succeeds"
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

case_messages() { # what cannot be written to a log is told all the same
    { campaign 0; echo 'mock = ( { name = "bad"; fail = 9; } );'; } >msg.cfg
    run 1 0 msg.cfg --out g
    local log=g/logs/$("$DINF_PYTHON" -c 'import json; print(json.load(open("g/plan.json"))["tasks"][0]["id"])').log
    says "$log" "mock failure 1 of 9"
    ln -sf /dev/full "$log" # a full disk
    for ranks in 0 2; do
        run 1 $ranks msg.cfg --out g
        says last.err "mock:bad/0 failed: mock failure 1 of 9"
    done
    cat >silent.sh <<EOF
#!/bin/sh
[ "\$1" != collect ] || kill -SEGV \$\$
exec "$DINF" "\$@"
EOF
    cat >loud.sh <<EOF
#!/bin/sh
[ "\$1" != collect ] || { echo "error: no room for it" >&2; exit 9; }
exec "$DINF" "\$@"
EOF
    chmod +x silent.sh loud.sh
    DINF_PROGRAM=$PWD/silent.sh run 3 0 graph.cfg --out g2
    says last.err "results.h5 could not be rebuilt: dinf collect said nothing: killed by signal 11 (Segmentation fault)"
    DINF_PROGRAM=$PWD/loud.sh run 3 0 graph.cfg --out g2
    says last.err "results.h5 could not be rebuilt: dinf collect says: no room for it (exit status 9)"
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
}

status() { # WANTED STATUS, DIR, what it says
    local got=0
    "$DINF" status "$2" >last.out 2>status.err || got=$?
    [ $got = "$1" ] || fail "dinf status $2: $got instead of $1"
    says last.out "$3"
    ! grep -q -- "-[0-9.]* [smhd]" last.out || fail "negative times: $(cat last.out)"
}

clock() { # DIR SECONDS: the run's news were so much later
    "$DINF_PYTHON" - "$@" <<'PY'
import json, re, sys
d, by = sys.argv[1], float(sys.argv[2])
for name, key in ("status.json", "time"), ("journal.jsonl", "t"):
    text = open(f"{d}/{name}").read()
    text = re.sub(rf'"{key}":([0-9.e+]+)', lambda m: f'"{key}":{float(m[1]) + by:.3f}', text)
    open(f"{d}/{name}", "w").write(text)
PY
}

case_status() { # the lock is believed, not the clock; what is damaged is left out
    local pid zero
    $DINF_MPIRUN -n 2 "$DINF" run long.cfg --set mock.long.seconds=60 --out q </dev/null 2>first.err &
    pid=$!
    started q 1
    zero=$(pgrep -P $pid | sort -n | head -n 1)
    status 0 q "^running on .*, 2 ranks$"
    kill -STOP "$zero"
    clock q -3600
    status 0 q "^running on .*, 2 ranks, no news for 1 h 00 min$"
    clock q 90000 # the clock was set back by a day
    status 0 q "^running on .*, 2 ranks$"
    "$DINF" status q --json | "$DINF_PYTHON" -c '
import json, sys
s = json.load(sys.stdin)
assert s["live"] is True and s["lock"] == "held" and s["news_seconds"] is None and s["missing"] == [] and s["running"] == 1, s' ||
        fail "status --json of a run that is frozen"
    kill -KILL "$zero"
    wait $pid || true
    status 0 q "^the run was killed; when the last news came is not known, .*; the same command goes on"
    clock q -86400 # and right again
    status 0 q "^the run was killed; last news [0-9.]* s ago; the same command goes on"
    says last.out "0 running, 6 remaining"
    "$DINF" status q --json | "$DINF_PYTHON" -c '
import json, sys
s = json.load(sys.stdin)
assert s["live"] is False and s["lock"] == "free" and 0 <= s["news_seconds"] < 60 and s["running"] == 0, s' ||
        fail "status --json of a run that was killed"
    echo "elsewhere 1" >q/lock # its host cannot be asked
    status 0 q "^running on .*fresh; whether it lives cannot be seen"
    clock q -3600
    status 0 q "^no news from the run on elsewhere: it was killed or hangs; last news 1 h 00 min ago"
    rm q/lock
    for damage in : 'echo {"camp' 'rm -f'; do
        $damage >q/status.json
        [ "$damage" != "rm -f" ] || rm -f q/status.json
        status 0 q "0 of 6 done, 0 running, 6 remaining"
        case $damage in rm*) says status.err "status.json is left out: it is not there$" ;;
        *) says status.err "status.json is left out: it is damaged$" ;; esac
    done
    run 0 2 long.cfg --set mock.long.seconds=0.1 --out q2
    cp q2/plan.json plan.before
    for damage in 'echo {"tasks' 'rm -f'; do
        $damage >q2/plan.json
        [ "$damage" != "rm -f" ] || rm -f q2/plan.json
        status 0 q2 "6 of 6 done"
        says status.err "plan.json is lost or damaged: what follows is from the journal"
        "$DINF" status q2 --json 2>/dev/null | "$DINF_PYTHON" -c '
import json, sys
s, plan = json.load(sys.stdin), json.load(open("plan.before"))
assert s["missing"] == ["plan.json"] and s["campaign"] == "mock", s
assert {t["id"] for t in s["tasks"]} == {t["id"] for t in plan["tasks"]}
assert all(t["state"] == "done" and t["attempts"] == 1 for t in s["tasks"]), s' || fail "status --json without a plan"
    done
    { campaign 0; echo 'mock = ( { name = "bad"; fail = 9; }, { name = "good"; } );'; } >bad.cfg
    run 1 1 bad.cfg --out q3
    status 1 q3 "^failed  mock:bad/0 (attempt 1): mock failure"
    got=0
    "$DINF" status q3 --json >last.out || got=$?
    [ $got = 1 ] || fail "status --json: $got though a task has failed"
}

case_changed() { # another config in the same directory: what changed is said, and the former results stay
    local hash
    run 0 0 graph.cfg --out c
    ! grep "has changed" last.err || fail "nothing has changed in a new directory"
    cp c/results.h5 former.h5
    hash=$("$DINF_PYTHON" -c 'import h5py; print(h5py.File("former.h5").attrs["config_hash"].decode()[:12])' 2>/dev/null ||
        "$DINF_PYTHON" -c 'import h5py; print(h5py.File("former.h5").attrs["config_hash"][:12])')
    sed 's/name = "b"; count = 6/name = "b"; count = 8/; s/name = "c"; seconds = 0.02;/name = "e"; seconds = 0.03;/' graph.cfg >other.cfg
    run 0 2 other.cfg --out c
    says last.err "the config has changed: .* new (mock:.*), .* gone (mock:.*), .* kept"
    says last.err "the results so far are kept as results-$hash.h5"
    "$DINF_PYTHON" - former.h5 c/results-"$hash".h5 c/results.h5 c/plan.json last.err <<'PY' || fail "what is kept"
import json, re, sys, h5py
former, kept, now = (h5py.File(p) for p in sys.argv[1:4])
assert open(sys.argv[1], "rb").read() == open(sys.argv[2], "rb").read()
ids = lambda f: {bytes(i) for i in f["tasks"]["id"]}
plan = {t["id"].encode() for t in json.load(open(sys.argv[4]))["tasks"]}
assert ids(now) == plan != ids(former)
m = re.search(r"changed: (\d+) tasks? (?:is|are) new.*, (\d+) gone.*, (\d+) kept", open(sys.argv[5]).read())
assert [int(x) for x in m.groups()] == [len(plan - ids(former)), len(ids(former) - plan), len(ids(former) & plan)], m
PY
    run 0 0 other.cfg --out c
    ! grep "has changed" last.err || fail "nothing has changed now"
    [ "$(ls c/results*.h5 | wc -l)" = 2 ] || fail "$(ls c)"
    echo 'campaign = { name = "alien"; seed = 0; threads = 1; }; mock = ( { name = "z"; seconds = 0.5; } );' >alien.cfg
    cp c/plan.json plan.before
    run 2 0 alien.cfg --out c # that is another campaign
    says last.err 'shares no task with this one: take another --out'
    cmp c/plan.json plan.before || fail "a refused config changed the plan"
}

case_leftovers() { # what killed processes left goes, also where nothing is left to do; what lives stays
    local dead kept
    run 0 2 graph.cfg --out n
    bash -c 'echo $$' >dead
    dead=$(cat dead)
    kept=n/tasks/x.h5.tmp.$$
    mkdir -p n/work/left n/work/empty n/work/young n/encoders
    touch n/tasks/x.h5.tmp."$dead" n/results.h5.tmp."$dead" n/encoders/x.tmp."$dead" "$kept" n/work/left/checkpoint
    touch n/work/young/checkpoint n/work/young/checkpoint.tmp."$dead" # of a task that may come back into the config
    touch -d '8 days ago' n/work/left/checkpoint n/work/left
    touch -d '1 hour ago' n/tasks/y.h5.tmp.1
    mkdir "n/work/$(basename "$(ls n/tasks/*.h5 | head -n 1)" .h5)" # killed between the result and its folder's end
    sleep 1.1
    run 0 1 graph.cfg --out n
    [ "$(find n -name '*.tmp.*')" = "$kept" ] || fail "temporary files: $(find n -name '*.tmp.*')"
    [ "$(cd n/work && find . -type f)" = ./young/checkpoint ] || fail "in the work folders: $(find n/work -type f)"
    [ "$(ls n/work)" = young ] || fail "work folders are left behind: $(ls n/work)"
    rm -r n/work/young
    # at the start, too
    touch -d '1 hour ago' n/tasks/y.h5.tmp.1
    mkdir n/work/left
    "$DINF" run graph.cfg --set mock.c.seconds=60 --out n 2>last.err &
    local pid=$!
    started n 17
    [ ! -e n/tasks/y.h5.tmp.1 ] && [ ! -e n/work/left ] || fail "what is left over stays while the run goes on"
    kill -TERM $pid
    wait $pid || true
    run 0 1 graph.cfg --out n
    # a task that is not done keeps its state, without the half of it
    local task=$(ls n/tasks/*.h5 | head -n 1)
    rm "$task" "$kept"
    task=n/work/$(basename "$task" .h5)
    mkdir "$task"
    touch "$task/checkpoint.tmp.$dead" "$task/kept"
    sleep 1.1
    run 0 1 graph.cfg --out n
    ! find n -name '*.tmp.*' | grep . || fail "temporary files stay"
}

case_crowd() { # more threads than processors: said before anything starts, once
    local first
    first=$(taskset -pc $$ | sed 's/.*: //; s/[-,].*//')
    echo 'campaign = { name = "mock"; seed = 0; threads = 3; }; mock = ( { name = "a"; count = 3; } );' >three.cfg
    taskset -c "$first" "$DINF" run three.cfg --out h 2>last.err
    says last.err "warning: campaign.threads = 3, but a task on .* may use 1 processor, "
    taskset -c "$first" $DINF_MPIRUN -n 3 "$DINF" run graph.cfg --out h2 </dev/null 2>last.err
    says last.err "warning: 2 workers with campaign.threads = 1 on .* want 2 processors, and may use 1: start no more than 1 worker there$"
    [ "$(grep -c warning last.err)" = 1 ] || fail "that is said more than once"
    [ "$(grep -n warning last.err | cut -d: -f1)" -lt "$(grep -n starts last.err | head -n 1 | cut -d: -f1)" ] || fail "that is said late"
    taskset -c "$first" $DINF_MPIRUN -n 2 "$DINF" run graph.cfg --out h3 </dev/null 2>last.err # one worker of one thread
    ! grep warning last.err || fail "one thread is too many, says a worker that counts rank 0"
    local second=$("$DINF_PYTHON" -c 'import os; print(([*sorted(os.sched_getaffinity(0))] + [""])[1])')
    if [ -n "$second" ]; then # each bound to its own: together they may use both
        $DINF_MPIRUN -n 2 taskset -c "$first" "$DINF" run graph.cfg --out h5 : -n 1 taskset -c "$second" "$DINF" run graph.cfg --out h5 \
            </dev/null 2>last.err
        ! grep warning last.err || fail "ranks that are bound share nothing"
    fi
    local script config
    for script in "$here"/../../jobs/slurm/*.sbatch; do # they agree with their own example
        config=$here/../../$(sed -n 's/^#   sbatch .* \(configs.*\)$/\1/p' "$script")
        [ "$(sed -n 's/^#SBATCH --cpus-per-task=//p' "$script")" = "$(sed -n 's/^campaign.* threads = \([0-9]*\);.*/\1/p' "$config")" ] ||
            fail "$script asks for other processors than $config has threads"
    done
    SLURM_CPUS_PER_TASK=1 run 0 0 three.cfg --out h4
    says last.err "warning: campaign.threads = 3, but a task on .* may use 1 processor, .*--cpus-per-task=3"
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
    [ $got = 2 ] && says last.err "Slurm gave 4 tasks, but MPI sees one rank.*unset SLURM_NTASKS" && [ ! -e never ] || fail "wrong launcher"
    got=0
    SLURM_NTASKS=4 SLURM_STEP_NUM_TASKS=4 "$DINF" run graph.cfg --out never 2>last.err || got=$?
    [ $got = 2 ] && says last.err "srun --mpi=pmix$" && [ ! -e never ] || fail "wrong launcher in a step"
    SLURM_NTASKS=4 SLURM_STEP_NUM_TASKS=1 run 0 0 graph.cfg --out step # srun -n 1
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

[ $# -gt 0 ] || set -- ranks failures limit stop saved frozen silence retries aside elsewhere files messages lock status changed leftovers crowd usage task binding
for c in "$@"; do
    case_$c
    echo "ok $c"
done
