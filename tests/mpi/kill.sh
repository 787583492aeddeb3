#!/usr/bin/env bash
# kill -9 of a child, of a worker rank, of rank 0 and of mpirun at random moments,
# then the same command again: the results are those of an undisturbed run.
#   DINF=build/dinf tests/mpi/kill.sh [SEED [CONFIG [LONGEST WAIT IN SECONDS]]]
# KINDS: which of them (child worker leader mpirun)
. "$(dirname "$0")/lib.sh"
RANDOM=${1:-1}
config=${2:-} longest=${3:-1.5}
if [ -z "$config" ]; then
    config=kill.cfg
    cat >kill.cfg <<'CFG'
campaign = { name = "kill"; seed = 0; trials = 1; threads = 1; retries = 5; task_seconds = 0.0; };
mock = ( { name = "a"; count = 6; seconds = 0.5; steps = 25; }, { name = "b"; count = 12; seconds = 0.2; steps = 10; after = "a"; },
         { name = "c"; count = 40; seconds = 0.01; after = "b"; } );
CFG
fi
run 0 3 "$config" --out whole

rank_pids() { pgrep -P "$1" | sort -n; }
victim() { # KIND MPIRUN: a process to kill, or nothing if there is none now
    case $1 in
    mpirun) echo "$2" ;;
    leader) rank_pids "$2" | head -n 1 ;;
    worker) rank_pids "$2" | tail -n 1 ;;
    child) for r in $(rank_pids "$2"); do pgrep -P "$r"; done | shuf -n 1 --random-source=<(yes "$RANDOM") ;;
    esac
}

for kind in ${KINDS:-child worker leader mpirun}; do
    rm -rf broken
    kills=0 launches=0
    while :; do
        launches=$((launches + 1))
        [ $launches -le 20 ] || fail "no end after $launches launches"
        $DINF_MPIRUN -n 3 "$DINF" run "$config" --out broken </dev/null 2>$kind.err &
        pid=$!
        while [ $kills -lt 3 ]; do
            sleep "$(awk -v r=$RANDOM -v w="$longest" 'BEGIN { print 0.4 + w * r / 32768 }')"
            kill -0 $pid 2>/dev/null || break
            target=$(victim $kind $pid) || true # none at this moment
            if [ -n "$target" ] && kill -9 "$target" 2>/dev/null; then kills=$((kills + 1)); fi
            [ $kind = child ] || break # the others end the job
        done
        status=0
        wait $pid 2>/dev/null || status=$?
        [ $status != 0 ] || break
        [ $status != 2 ] || fail "status 2 after a kill of $kind"
    done
    same whole broken
    echo "ok $kind: $kills kills, $launches launches, $(count broken '"event":"done"') tasks done"
done
