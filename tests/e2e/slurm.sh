#!/usr/bin/env bash
# The batch scripts under a real Slurm: two virtual nodes on this machine, own
# daemons, ports and folders. A job that is signalled before its time limit saves
# its state, queues itself again, goes on, and ends with the results of an
# undisturbed run. Needs root and the packages slurm-wlm and munge, else SKIP.
#   DINF=build/dinf tests/e2e/slurm.sh [CONFIG]
. "$(dirname "$0")/../mpi/lib.sh"
root=$here/../..
skip() { echo "SKIP: $*"; exit 77; }

[ "$(id -u)" = 0 ] || skip "a Slurm of one's own needs root"
for program in slurmctld slurmd munged sbatch; do
    command -v $program >/dev/null || skip "$program is not installed (apt-get install slurm-wlm slurm-wlm-basic-plugins munge)"
done

[ -d /sys/fs/cgroup ] && mountpoint -q /sys/fs/cgroup || skip "slurmd wants a cgroup file system"

# ---- the cluster ----
pids=()
stop_cluster() {
    local status=$? pid
    scancel --quiet --full --signal=KILL --user=root 2>/dev/null || true
    for pid in ${pids[@]+"${pids[@]}"}; do kill "$pid" 2>/dev/null || true; done
    for pid in ${pids[@]+"${pids[@]}"}; do wait "$pid" 2>/dev/null || true; done
    if [ $status -ne 0 ] && [ $status -ne 77 ]; then
        tail -n 15 slurm/*.log 2>/dev/null || true
        tail -n 40 job*.log 2>/dev/null || true
    fi
    (exit $status)
    cleanup
}
trap stop_cluster EXIT
chmod 755 .
mkdir -p slurm/{state,spooln0,spooln1,tmpn0,tmpn1,munge}
chmod 700 slurm/munge
dd if=/dev/urandom of=slurm/munge/key bs=1024 count=1 status=none
chmod 600 slurm/munge/key
port=$((20000 + RANDOM % 20000))
cat >slurm/slurm.conf <<CONF
ClusterName=dinf
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$PWD/slurm/munge/socket,cred_expire=6
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=pmix
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=5
StateSaveLocation=$PWD/slurm/state
SlurmdSpoolDir=$PWD/slurm/spool%n
TmpFS=$PWD/slurm/tmp%n
SlurmctldPidFile=$PWD/slurm/ctld.pid
SlurmdPidFile=$PWD/slurm/d-%n.pid
SlurmctldLogFile=$PWD/slurm/ctld.log
SlurmdLogFile=$PWD/slurm/d-%n.log
NodeName=n[0-1] NodeHostname=localhost NodeAddr=127.0.0.1 Port=$((port + 1))-$((port + 2)) CPUs=4 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$PWD/slurm/slurm.conf
# two nodes on one host: ranks talk over loopback
export OMPI_MCA_btl=tcp,self OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo

munged --foreground --force --socket="$PWD/slurm/munge/socket" --key-file="$PWD/slurm/munge/key" \
    --pid-file="$PWD/slurm/munge/pid" --log-file="$PWD/slurm/munged.log" --seed-file="$PWD/slurm/munge/seed" \
    >slurm/munged.out 2>&1 &
pids+=($!)
for i in $(seq 50); do [ ! -S slurm/munge/socket ] || break; sleep 0.1; done
[ -S slurm/munge/socket ] || fail "munged does not start: $(cat slurm/munged.out slurm/munged.log)"
slurmctld -D >slurm/ctld.out 2>&1 &
pids+=($!)
for n in n0 n1; do
    slurmd -D -N $n >slurm/$n.out 2>&1 &
    pids+=($!)
done
for i in $(seq 100); do
    [ "$(sinfo -h -t idle -o %D 2>/dev/null)" != 2 ] || break
    sleep 0.2
done
[ "$(sinfo -h -t idle -o %D)" = 2 ] || fail "the nodes do not come up: $(sinfo)"

# ---- the jobs ----
config=${1:-$work/job.cfg}
cat >job.cfg <<'CFG'
campaign = { name = "job"; seed = 0; trials = 1; threads = 1; retries = 1; task_seconds = 0.0; };
mock = ( { name = "a"; count = 4; seconds = 4.0; steps = 40; }, { name = "b"; count = 6; seconds = 0.2; after = "a"; } );
CFG
job_state() { scontrol show job "$1" | sed -n 's/.*JobState=\([A-Z]*\).*/\1/p'; }
wait_state() { # JOB STATE SECONDS
    local i
    for i in $(seq $(($3 * 5))); do
        [ "$(job_state "$1")" != "$2" ] || return 0
        sleep 0.2
    done
    fail "job $1 is $(job_state "$1"), not $2"
}
submit() { # NAME SCRIPT SBATCH OPTIONS...
    local name=$1 script=$2
    shift 2
    (cd "$root" && DINF_OUT="$work/$name" sbatch --parsable --export=ALL --output="$work/job-$name.log" --time=10 --cpus-per-task=1 "$@" \
        "jobs/slurm/$script" "$config" --grace 10)
}
export DINF

run 0 3 "$config" --out whole
for launch in mpirun srun; do
    export LAUNCH=$launch
    for script in one-node several-nodes; do
        name=$launch-$script
        if [ $script = one-node ]; then size=(--ntasks=3); else size=(--nodes=2 --ntasks-per-node=2); fi
        job=$(submit $name $script.sbatch "${size[@]}")
        wait_state "$job" RUNNING 30
        started $name 1
        sleep 1.5
        # what --signal=B:USR1@120 does two minutes before the limit
        scancel --signal=USR1 --batch "$job"
        for i in $(seq 150); do
            [ "$(count $name '"event":"run"')" -lt 2 ] || break
            sleep 0.2
        done
        wait_state "$job" COMPLETED 60
        [ "$(count $name '"event":"run"')" = 2 ] || fail "$name: $(count $name '"event":"run"') runs, not 2"
        [ "$(count $name '"event":"stopped"')" -ge 1 ] || fail "$name: nothing was stopped"
        says "job-$name.log" "queueing job $job again"
        says "job-$name.log" "job $job, start 2"
        same whole $name
        echo "ok $name: stopped by a signal, queued again, finished"
    done
done

# ---- the demo's config, in one go; DEMO_EPOCHS=60 is the whole of it ----
epochs=${DEMO_EPOCHS:-2} short=()
for training in encoders.victim.train encoders.ind-other.train encoders.ind-disjoint.train "steal[0]" "steal[1]"; do
    short+=(--set "$training.epochs=$epochs")
done
LAUNCH=mpirun
demo=$(cd "$root" && DINF_OUT="$work/demo" sbatch --parsable --export=ALL --output="$work/job-demo.log" --time=30 \
    --ntasks=3 --cpus-per-task=1 jobs/slurm/one-node.sbatch configs/demo.cfg "${short[@]}")
wait_state "$demo" COMPLETED $((60 + epochs * 15))
says job-demo.log "60 done, 0 failed, 0 skipped"
[ -s demo/results.h5 ] || fail "the demo left no results"
echo "ok the demo's config under Slurm, $epochs epochs"
