# Shared by jobs/, tests/ and containers/: installing what is missing, building,
# and starting a run again. Source it from the repository's root.

# What building and running needs on Debian 12, and what the figures need.
DINF_PACKAGES="build-essential cmake ninja-build pkg-config git openmpi-bin libopenmpi-dev libhdf5-dev libconfig-dev
 libcjson-dev libdnnl-dev libopenblas-openmp-dev libssl-dev libcmocka-dev
 python3-numpy python3-h5py python3-pandas python3-matplotlib"
DINF_PYTHON=${DINF_PYTHON:-/usr/bin/python3}

dinf_say() { printf '%s\n' "== $*" >&2; }

# dinf_install [FURTHER PACKAGES]: installs those that are missing, and touches
# nothing if none is.
dinf_install() {
    local missing=() package root=()
    if ! command -v dpkg-query >/dev/null; then
        dinf_say "no dpkg here: install the counterparts of" $DINF_PACKAGES "$@"
        return 0
    fi
    for package in $DINF_PACKAGES "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    dinf_say "installing ${missing[*]}"
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
            dinf_say "there is no sudo: as root, run apt-get install ${missing[*]}"
            return 1
        fi
        root=(sudo)
    fi
    "${root[@]}" apt-get update -q >&2
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
}

# dinf_build FOLDER [TARGETS]: everything if none; quiet unless it goes wrong.
# DINF_NATIVE=OFF for a program that other machines run, too; DINF_CUDA=ON or OFF in
# place of AUTO; DINF_CMAKE: further words for cmake.
dinf_build() {
    local folder=$1 log
    shift
    log=$(mktemp)
    dinf_say "building in $folder"
    if cmake -S . -B "$folder" -G Ninja -DDINF_NATIVE="${DINF_NATIVE:-ON}" \
        ${DINF_CUDA:+-DDINF_CUDA="$DINF_CUDA"} ${DINF_CMAKE:-} >"$log" 2>&1 &&
        ninja -C "$folder" -j "${DINF_JOBS:-2}" "$@" >>"$log" 2>&1; then
        rm -f "$log"
        return 0
    fi
    tail -n 40 "$log" >&2
    rm -f "$log"
    return 1
}

# What Open MPI wants to hear: root is welcome in a container, more ranks than
# cores are meant (rank 0 sleeps), a rank's threads may use every core, and no
# ptrace between ranks, which containers forbid.
DINF_MPIRUN="mpirun -q --oversubscribe --bind-to none --mca btl_vader_single_copy_mechanism none"
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

# dinf_ranks PROGRAM CONFIG [--set ...]...: sets DINF_RANKS to how many ranks suit this
# machine, one that coordinates and a worker for as many cores as the config gives a
# task or, on GPUs, for each place on one (campaign.ranks_per_gpu, else 4; never more
# than there are cores for); and DINF_GPUS to the GPUs that they would use.
dinf_ranks() {
    local plan threads share cores workers
    plan=$("$1" plan "${@:2}" --json) || return
    plan=$("$DINF_PYTHON" -c 'import json, sys; p = json.load(sys.stdin); print(p["threads"], p["ranks_per_gpu"], p["gpus"])' <<<"$plan") || return
    read -r threads share DINF_GPUS <<<"$plan"
    cores=$(($(nproc) / threads))
    workers=$cores
    if [ "$DINF_GPUS" -gt 0 ]; then
        [ "$share" -gt 0 ] || share=4
        workers=$((DINF_GPUS * share))
        [ "$workers" -le "$cores" ] || workers=$cores
    fi
    [ "$workers" -gt 0 ] || workers=1
    DINF_RANKS=$((workers + 1))
}

# NVIDIA's multi-process service lets the kernels of several ranks run on one GPU at
# the same time: started where it is installed and more than one worker would use one
# of DINF_GPUS, ended with this shell. DINF_MPS=off: not.
dinf_mps() { # RANKS
    [ "${DINF_MPS:-auto}" != off ] && command -v nvidia-cuda-mps-control >/dev/null || return 0
    [ "$DINF_GPUS" -gt 0 ] && [ $(($1 - 1)) -gt "$DINF_GPUS" ] && [ -z "${CUDA_MPS_PIPE_DIRECTORY:-}" ] || return 0
    CUDA_MPS_PIPE_DIRECTORY=$(mktemp -d "${TMPDIR:-/tmp}/dinf-mps.XXXXXX")
    export CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY=$CUDA_MPS_PIPE_DIRECTORY
    if nvidia-cuda-mps-control -d >/dev/null 2>&1; then
        dinf_say "ranks share $DINF_GPUS GPU(s) through NVIDIA's multi-process service"
        trap 'echo quit | nvidia-cuda-mps-control >/dev/null 2>&1; rm -rf "$CUDA_MPS_PIPE_DIRECTORY"' EXIT
    else
        dinf_say "NVIDIA's multi-process service does not start: ranks take turns on a GPU"
        rm -rf "$CUDA_MPS_PIPE_DIRECTORY"
        unset CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY
    fi
}

# dinf_none DIR WHAT...: true if the last status of the run counts no such tasks.
dinf_none() {
    local what
    for what in "${@:2}"; do
        grep -Eq "\"$what\"[[:space:]]*:[[:space:]]*0([^0-9.]|\$)" "$1/status.json" || return 1
    done
}

# dinf_ended DIR BYTES: true if a run in DIR came to its own end with nothing left to do,
# and wrote so behind the first BYTES of the journal, which are former runs'. An mpirun
# that could not start, or was told to end, also says 1; and one that had to end a rank
# that hung, or that crashed at its own end, says anything.
dinf_ended() {
    tail -c +$(($2 + 1)) "$1/journal.jsonl" 2>/dev/null | tail -n 1 | grep -q '"event":"end"' &&
        dinf_none "$1" waiting ready running
}

# dinf_supervise DIR COMMAND...: runs the command, which runs a campaign in DIR,
# and again after a crash, at most DINF_RESTARTS times (3): a rank that dies takes
# the job with it, and the run goes on from its journal. TERM, INT and USR1 are
# passed on as USR1, which mpirun and srun hand to every rank; TERM they would
# answer by killing. Returns the run's status.
dinf_supervise() {
    local dir=$1 left=${DINF_RESTARTS:-3} pid status woken before stop=
    shift
    while :; do
        before=$(stat -c %s "$dir/journal.jsonl" 2>/dev/null) || before=0
        # in a terminal, a session of its own: a Ctrl-C then reaches this shell alone
        if [ -t 2 ]; then setsid "$@" </dev/null & else "$@" </dev/null & fi
        pid=$!
        trap 'stop=1; woken=1; kill -USR1 "$pid" 2>/dev/null' TERM INT USR1
        [ -z "$stop" ] || kill -USR1 "$pid" 2>/dev/null
        woken=1
        while [ -n "$woken" ]; do # a trapped signal ends `wait` early
            woken= status=0
            wait "$pid" || status=$?
        done
        trap - TERM INT USR1
        case $status in
        0 | 2 | 75) return "$status" ;;
        3) # an error of the run's own: a restart helps where it has passed meanwhile
            [ -z "$stop" ] || return 3
            sleep "${DINF_PAUSE:-10}" ;;
        *)
            if dinf_ended "$dir" "$before"; then
                dinf_none "$dir" failed skipped || return 1
                return 0
            fi ;;
        esac
        [ -z "$stop" ] || return 75
        if [ "$left" -le 0 ]; then
            dinf_say "status $status, and too often: giving up. The same command goes on."
            return "$status"
        fi
        left=$((left - 1))
        dinf_say "the run broke off with status $status: starting it again ($left more times if need be)"
    done
}
