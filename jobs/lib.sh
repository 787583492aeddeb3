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
# DINF_NATIVE=OFF for a program that other machines run, too.
dinf_build() {
    local folder=$1 log
    shift
    log=$(mktemp)
    dinf_say "building in $folder"
    if cmake -S . -B "$folder" -G Ninja -DDINF_NATIVE="${DINF_NATIVE:-ON}" >"$log" 2>&1 && ninja -C "$folder" -j "${DINF_JOBS:-2}" "$@" >>"$log" 2>&1; then
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

# True if the run in directory $1 came to its own end with nothing left to do. An
# mpirun that could not start, or was told to end, also says 1.
dinf_ended() {
    local what
    tail -n 1 "$1/journal.jsonl" 2>/dev/null | grep -q '"event":"end"' || return 1
    for what in waiting ready running; do
        grep -q "\"$what\":0," "$1/status.json" || return 1
    done
}

# dinf_supervise DIR COMMAND...: runs the command, which runs a campaign in DIR,
# and again after a crash, at most DINF_RESTARTS times (3): a rank that dies takes
# the job with it, and the run goes on from its journal. TERM, INT and USR1 are
# passed on as USR1, which mpirun and srun hand to every rank; TERM they would
# answer by killing. Returns the run's status.
dinf_supervise() {
    local dir=$1 left=${DINF_RESTARTS:-3} pid status woken stop=
    shift
    while :; do
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
        1) ! dinf_ended "$dir" || return 1 ;;
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
