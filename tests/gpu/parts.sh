#!/usr/bin/env bash
# The parts of run.sh, which starts this file with a part's name and a time limit.
# $DINF the program, $PLACE where programs are, $DEVICE cuda (cpu: a trial with small
# sizes), $WORK a folder that goes, $WORK/json/PART.json figures for the report,
# $PYTHON with PyTorch. A part's status: 0 good, 77 skipped, anything else failed.

# Name, time limit, least time worth starting it, what: what matters most and is quick comes first.
parts_table() {
    cat <<'END'
device 60 10 device, driver, versions
table-fp32 150 20 every operation against ref, fp32
table-bf16 150 20 every operation against ref, bf16
table-tf32 150 20 every operation against ref, tf32
linalg 100 15 double precision against ref
nn-golden 150 20 networks, losses, training steps against PyTorch's stored values
nn-gradient 150 20 gradients against differences
nn-feed 200 20 recorded steps against eager, streamed data against resident, precisions
nn-resume 200 20 stopped at any step and taken up again: bit for bit
errors 100 20 a training that cannot fit; no GPU; a precision that is not there
curves 200 40 the same training on cpu and cuda
ranks 260 80 one, two and four worker ranks on the GPU: bit for bit
kill 240 80 kill -9 of a child and of the whole run, resumed: bit for bit
bench-step-bf16 300 90 the training step beside PyTorch, bf16
memcheck 300 100 compute-sanitizer memcheck: operations and two training steps
demo 240 80 configs/demo.cfg
bench-gmm 200 60 mixtures beside scikit-learn or NumPy
bench-thefts 300 90 16 thefts by 1, 2, 4, 8 workers
bench-step-tf32 240 60 the training step beside PyTorch, tf32
bench-step-fp32 240 60 the training step beside PyTorch, fp32
bench-thefts-mps 240 60 the thefts with NVIDIA's multi-process service
bench-floor 90 30 rates of the chip, and the share of them that was reached
racecheck 300 100 compute-sanitizer racecheck: operations
initcheck 300 100 compute-sanitizer initcheck: two training steps
END
}

# program NAME: where it is, in a bundle or a build folder
program() {
    local found
    for found in "$PLACE/bin/$1" "$PLACE/$1"; do
        if [ -f "$found" ] && [ -x "$found" ]; then printf '%s' "$found"; return 0; fi
    done
    found=$(find "$PLACE" -name "$1" -type f -perm -u+x 2>/dev/null | head -n 1)
    [ -n "$found" ] && printf '%s' "$found"
}

has_gpu() {
    local devices
    devices=$("$DINF" list devices | tr -s ' \n' ' ')
    [[ $devices == *' cuda '* ]] && ! grep -q ' cuda [^]]*\[not here' <<<"$devices"
}
trial() { [ "$DEVICE" = cpu ]; }
show() { printf '$ %s\n' "$*"; "$@"; }
skip() { echo "SKIP: $*"; exit 77; }
fail() { echo "FAIL: $*"; exit 1; }
# needs NAME: sets $found or skips the part
needs() { found=$(program "$1") || skip "no program $1 among those given"; }
# expect STATUS TEXT COMMAND...
expect() {
    local want=$1 text=$2 code=0
    shift 2
    printf '$ %s\n' "$*"
    "$@" >"$WORK/out" 2>&1 || code=$?
    tail -n 15 "$WORK/out"
    [ "$code" = "$want" ] || fail "status $code instead of $want"
    grep -q -- "$text" "$WORK/out" || fail "it does not say: $text"
}
has_module() { "$PYTHON" -c "import $1" 2>/dev/null; }

# same A B: two run directories are the same results, bit for bit
same() {
    if has_module h5py; then
        show "$PYTHON" tests/mpi/compare.py "$1" "$2" || fail "$1 and $2 differ"
        echo "the same: results.h5 of $(basename "$1") and $(basename "$2")"
        return 0
    fi
    local file n=0
    for file in "$1"/tasks/*.safetensors; do
        cmp "$file" "$2/tasks/$(basename "$file")" || fail "weights differ"
        n=$((n + 1))
    done
    [ $n -gt 0 ] || fail "no weights in $1"
    echo "the same: the weights of $n encoders; h5py is missing here, so that results.h5 was not compared"
}

# keep NAME: a campaign's results in one file, for a comparison elsewhere
keep() {
    [ -n "${KEEP_RESULTS:-}" ] || return 0
    mkdir -p "$KEEP_RESULTS/$1"
    "$DINF" collect "$WORK/$1" --pack >/dev/null && cp "$WORK/$1/results.h5" "$KEEP_RESULTS/$1/"
}

need_mpirun() { command -v mpirun >/dev/null || skip "no mpirun"; }

# a small campaign: two thefts of tests/e2e/tiny.cfg
small_config() {
    sed 's/budgets = \[ 24, 48 \]/budgets = 48/; s/loss = \[ "infonce", "mse" \]/loss = "infonce"/' tests/e2e/tiny.cfg \
        >"$WORK/small.cfg"
    export DINF_CUDA_CHOICES=$WORK/choices # algorithms are measured: other ones would be other bits
}
# campaign NAME RANKS (0: no mpirun)
campaign() {
    local launch=
    [ "$2" = 0 ] || launch="$DINF_MPIRUN -n $2"
    # words of the launcher are meant to be split
    DINF_PROGRESS=plain show $launch "$DINF" run "$WORK/small.cfg" --out "$WORK/$1" --device "$DEVICE" \
        --set campaign.ranks_per_gpu=2 >"$WORK/campaign.log" 2>&1 ||
        { echo "status $?"; tail -n 20 "$WORK/campaign.log"; exit 1; }
    head -n 1 "$WORK/campaign.log"
    tail -n 1 "$WORK/campaign.log"
}

part_device() {
    show uname -srm
    show nproc
    if command -v nvidia-smi >/dev/null; then
        show nvidia-smi || true
        show nvidia-smi --format=csv \
            --query-gpu=name,driver_version,memory.total,clocks.max.sm,clocks.max.mem,power.limit,compute_mode || true
    fi
    show "$DINF" --version
    show "$DINF" list devices
    "$PYTHON" -c '
import sys
print("Python", sys.version.split()[0])
for name in ("torch", "torchvision", "numpy", "scipy", "sklearn", "h5py"):
    try:
        print(name, __import__(name).__version__)
    except ImportError:
        print(name, "is not installed")
try:
    import torch
    cudnn = torch.backends.cudnn.version()
    print("PyTorch: CUDA", torch.version.cuda, "cuDNN", cudnn, "GPU", torch.cuda.is_available())
except ImportError:
    pass'
    local tool
    for tool in nvcc compute-sanitizer nvidia-cuda-mps-control mpirun; do
        echo "$tool: $(command -v $tool >/dev/null && echo here || echo 'not here')"
    done
}

table() { needs device_compare; show "$found" "$DEVICE" 1 "$1"; }
part_table-fp32() { table fp32; }
part_table-tf32() { ! trial || skip "of the GPU"; table tf32; }
part_table-bf16() { ! trial || skip "of the GPU"; table bf16; }
part_linalg() { needs gpu_linalg; show "$found" "$DEVICE"; }
nn() { needs "nn_test_$1"; show "$found"; }
part_nn-golden() { nn golden; }
part_nn-gradient() { nn gradient; }
part_nn-feed() { nn feed; }
part_nn-resume() { nn resume; }

part_errors() {
    cat >"$WORK/large.cfg" <<'END'
campaign = { name = "large"; seed = 0; trials = 1; threads = 1; retries = 0; };
datasets = ( { name = "shapes"; format = "procedural"; classes = 4; count = 4096; size = 96; } );
encoders = ( { name = "large"; role = "independent";
    train = { dataset = "shapes"; arch = "resnet50"; stem = "cifar"; loss = "infonce"; epochs = 1; batch = 4096; }; } );
END
    trial || expect 1 'MiB of GPU memory' "$DINF" run "$WORK/large.cfg" --device cuda --out "$WORK/large"
    expect 2 'device "cuda" cannot be used here' env CUDA_VISIBLE_DEVICES= "$DINF" run "$WORK/large.cfg" --device cuda \
        --out "$WORK/none"
    [ ! -e "$WORK/none" ] || fail "a run directory was made"
    expect 2 'in fp32 only' "$DINF" bench train --device cpu --precision bf16 --arch resnet8 --size 8 --batch 4
}

part_curves() {
    local sizes=()
    ! trial || sizes=(--arch resnet10 --width 0.25 --size 16 --batch 16 --steps 20 --precisions fp32)
    show "$PYTHON" tests/gpu/curves.py --dinf "$DINF" --device "$(trial && echo ref || echo cuda)" \
        --json "$WORK/json/curves.json" ${sizes[@]+"${sizes[@]}"}
}

part_ranks() {
    small_config
    campaign one 0
    keep one
    need_mpirun
    local workers
    for workers in 2 4; do
        campaign "by-$workers" $((workers + 1))
        same "$WORK/one" "$WORK/by-$workers"
        keep "by-$workers"
    done
}

children() { cat /proc/"$1"/task/*/children 2>/dev/null | tr ' ' '\n' | grep . || true; }
done_tasks() { grep -c '"event":"done"' "$1/journal.jsonl" 2>/dev/null || true; }
part_kill() {
    need_mpirun
    small_config
    [ -e "$WORK/one/results.h5" ] || campaign one 0 # by the part ranks, if that ran in this call
    local pid rank child killed=0
    echo "\$ $DINF_MPIRUN -n 3 $DINF run $WORK/small.cfg --out $WORK/broken ..."
    DINF_PROGRESS=plain $DINF_MPIRUN -n 3 "$DINF" run "$WORK/small.cfg" --out "$WORK/broken" --device "$DEVICE" \
        --set campaign.ranks_per_gpu=2 >"$WORK/broken.log" 2>&1 &
    pid=$!
    until [ "$(done_tasks "$WORK/broken")" -ge 3 ] 2>/dev/null || ! kill -0 $pid 2>/dev/null; do sleep 0.2; done
    while [ $killed -lt 2 ] && kill -0 $pid 2>/dev/null; do
        for rank in $(children $pid); do
            child=$(children "$rank" | head -n 1)
            if [ -n "$child" ] && kill -9 "$child" 2>/dev/null; then killed=$((killed + 1)); break; fi
        done
        sleep 1.5
    done
    echo "kill -9 of $killed children, then of mpirun, after $(done_tasks "$WORK/broken") tasks"
    [ $killed -gt 0 ] || fail "no child was there to be killed"
    kill -9 $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
    sleep 3 # ranks notice that mpirun is gone
    campaign broken 3
    grep -c '"event":"run"' "$WORK/broken/journal.jsonl" | sed 's/^/launches in the journal: /'
    same "$WORK/one" "$WORK/broken"
    keep broken
}

sanitize() { # TOOL COMMAND...
    local tool=$1 code=0
    shift
    command -v compute-sanitizer >/dev/null || skip "no compute-sanitizer"
    show compute-sanitizer --tool "$tool" --target-processes all --error-exitcode 3 "$@" || code=$?
    [ $code = 0 ] || fail "status $code of $tool"
}
two_steps() {
    sanitize "$1" "$DINF" bench train --steps 2 --warmup 0 --device cuda --arch resnet10 --batch 16
    sanitize "$1" "$DINF" bench train --steps 2 --warmup 0 --device cuda --arch resnet10 --batch 16 --precision bf16
}
part_memcheck() {
    ! trial || skip "of the GPU"
    two_steps memcheck
    needs device_compare
    sanitize memcheck "$found" cuda
}
part_racecheck() { ! trial || skip "of the GPU"; needs device_compare; sanitize racecheck "$found" cuda; }
part_initcheck() { ! trial || skip "of the GPU"; two_steps initcheck; }

part_demo() {
    local launch= start=$SECONDS config=configs/demo.cfg
    ! trial || config=tests/e2e/tiny.cfg
    ! command -v mpirun >/dev/null || launch="$DINF_MPIRUN -n 5"
    DINF_PROGRESS=plain show $launch "$DINF" run $config --out "$WORK/demo" --device "$DEVICE" >"$WORK/demo.log" 2>&1 ||
        { echo "status $?"; tail -n 20 "$WORK/demo.log"; exit 1; }
    head -n 1 "$WORK/demo.log"
    tail -n 1 "$WORK/demo.log"
    echo "$((SECONDS - start)) s"
    keep demo
    if has_module h5py && has_module pandas && has_module matplotlib; then
        show "$PYTHON" analysis/all.py "$WORK/demo" || fail "no figures"
    fi
}

step() { # PRECISION PEERS...
    local precision=$1 sizes=()
    shift
    has_module torch || skip "no PyTorch"
    ! trial || sizes=(--arch resnet10 --width 0.25 --size 16 --batch 8 --steps 2 --warmup 1 --repeats 2)
    show "$PYTHON" tests/bench/gpu/simclr_torch.py
    show "$PYTHON" tests/bench/gpu/train_step.py --dinf "$DINF" --device "$DEVICE" --precisions "$precision" \
        --peers "$@" --json "$WORK/json/bench-step-$precision.json" ${sizes[@]+"${sizes[@]}"}
}
part_bench-step-bf16() { if trial; then step bf16 eager; else step bf16 eager compile loader; fi; }
part_bench-step-tf32() { ! trial || skip "of the GPU"; step tf32 eager compile; }
part_bench-step-fp32() { if trial; then step fp32 eager; else step fp32 eager compile; fi; }

thefts() { # NAME WORKERS... -- OPTIONS...
    local name=$1 sizes=(--epochs 10)
    shift
    ! trial || sizes=(--thefts 2 --queries 64 --epochs 1 --batch 32 --arch resnet8 --width 0.125 --size 8
        --precision fp32)
    show "$PYTHON" tests/bench/gpu/thefts.py --dinf "$DINF" --device "$DEVICE" --json "$WORK/json/$name.json" \
        "${sizes[@]}" "$@"
}
part_bench-thefts() {
    if trial; then thefts bench-thefts --mps no --workers 1 2; else thefts bench-thefts --mps no --workers 1 2 4 8; fi
}
part_bench-thefts-mps() {
    command -v nvidia-cuda-mps-control >/dev/null || skip "no nvidia-cuda-mps-control"
    thefts bench-thefts-mps --mps yes --workers 2 4 8
}

part_bench-gmm() {
    local sizes=()
    ! trial || sizes=(--n 2000 --d 64 --k 5 --iterations 2)
    show "$PYTHON" tests/bench/gpu/gmm.py --dinf "$DINF" --device "$DEVICE" --json "$WORK/json/bench-gmm.json" \
        ${sizes[@]+"${sizes[@]}"}
}

part_bench-floor() {
    local sizes=() files=() file
    has_module torch || skip "no PyTorch"
    ! trial || sizes=(--megabytes 32 --side 256)
    for file in "$WORK"/json/bench-{step,thefts,gmm}*.json; do
        [ ! -s "$file" ] || files+=("$file")
    done
    show "$PYTHON" tests/bench/gpu/floor.py --device "$DEVICE" --json "$WORK/json/bench-floor.json" \
        ${sizes[@]+"${sizes[@]}"} ${files[@]+"${files[@]}"}
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    set -euo pipefail
    cd "$ROOT"
    "part_$1"
fi
