# Shared by the batch scripts. Environment:
#   DINF            the program (build/dinf; bin/dinf in an unpacked bundle; what is installed)
#   LAUNCH          mpirun or srun, whichever this site wants (mpirun)
#   DINF_OUT        run directory (runs/NAME OF THE CONFIG)
#   DINF_RESTARTS   restarts within a job after a crash (3)
#   DINF_REQUEUES   how often a job may queue itself again at its time limit (50)
. jobs/lib.sh
if [ -x bin/dinf ]; then
    DINF=${DINF:-bin/dinf} PATH=$PWD/bin:$PATH
elif [ -x ../../bin/dinf ] && [ ! -e CMakeLists.txt ]; then
    DINF=${DINF:-../../bin/dinf}
fi
DINF=${DINF:-build/dinf}
LAUNCH=${LAUNCH:-mpirun}

# dinf_slurm CONFIG [DINF OPTIONS]: runs the campaign on this job's tasks; when
# the time limit nears, saves its state and queues the job again.
dinf_slurm() {
    local config=${1:?usage: sbatch SCRIPT CONFIG [dinf options]} out status=0 DINF_GPUS=0
    shift
    out=${DINF_OUT:-runs/$(basename "$config" .cfg)}
    [ -x "$DINF" ] || { dinf_say "$DINF is not there: build it first, or set DINF"; exit 2; }
    # from 22.05 on srun does not take this from the job
    [ -z "${SLURM_CPUS_PER_TASK:-}" ] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
    dinf_say "job $SLURM_JOB_ID, start $((${SLURM_RESTART_COUNT:-0} + 1)), on $SLURM_JOB_NODELIST: $config with $LAUNCH in $out"
    DINF_GPUS=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU' || true)
    case $LAUNCH in
    mpirun) set -- $DINF_MPIRUN -n "$SLURM_NTASKS" "$DINF" run "$config" --out "$out" "$@" ;;
    srun) set -- srun --mpi="${DINF_SRUN_MPI:-pmix}" --kill-on-bad-exit=1 "$DINF" run "$config" --out "$out" "$@" ;;
    *) dinf_say "LAUNCH is mpirun or srun, not $LAUNCH"; exit 2 ;;
    esac
    [ "${SLURM_JOB_NUM_NODES:-1}" -gt 1 ] || dinf_mps "$SLURM_NTASKS"
    dinf_supervise "$out" "$@" || status=$?
    if [ "$status" = 75 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt "${DINF_REQUEUES:-50}" ]; then
        dinf_say "stopped with its state saved: queueing job $SLURM_JOB_ID again"
        scontrol requeue "$SLURM_JOB_ID"
        exit 0 # the requeue ends this script anyway
    fi
    [ "$status" != 3 ] || dinf_say "the run broke off by an error of its own and is not queued again: see above"
    [ "$status" -gt 1 ] || dinf_say "results: $out/results.h5; figures: $DINF_PYTHON analysis/all.py $out"
    exit "$status"
}
