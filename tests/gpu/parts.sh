#!/usr/bin/env bash
# The parts of run.sh, which starts this file with a part's name and a time limit; the benchmarks are in
# bench_parts.sh. $DINF the program, $PLACE where programs are, $DEVICE cuda (cpu: a trial with small sizes),
# $WORK a folder that goes, $WORK/json/PART.json figures for the report, $PYTHON with PyTorch.
# A part's status: 0 good, 77 does not apply to the device, 78 something is missing here, anything else failed.

# Name, time limit, about how long it takes on a GPU (it is not begun in less), its test program, what. What matters
# most and is quick comes first.
parts_table() {
    cat <<'END'
device 60 10 - device, driver, versions
table-fp32 150 20 device_compare every operation against ref, fp32
table-bf16 150 20 device_compare every operation against ref, bf16
table-tf32 150 20 device_compare every operation against ref, tf32
large-fp32 240 60 device_compare the shapes of ResNet-34 and 512 views against ref, fp32
large-bf16 240 60 device_compare the shapes of ResNet-34 and 512 views against ref, bf16
nn-golden 240 60 nn_test_golden networks, losses, training steps against PyTorch's stored values
nn-feed 240 60 nn_test_feed recorded steps against eager, streamed data against resident, precisions
nn-resume 300 90 nn_test_resume stopped at any step and taken up again: bit for bit
linalg 100 15 gpu_linalg double precision against ref
bench-step-bf16 300 150 - the training step beside PyTorch, bf16
bench-thefts 420 280 - 16 thefts by 1, 4, 8, 2 workers
bench-gmm 240 100 - mixtures beside scikit-learn or NumPy
bench-chip 90 30 - rates of the chip, for the floors
bench-device 90 20 device_bench rates of single operations
profile 200 90 - a training step by kernel: time, bytes
curves 200 60 - the same training on cpu and cuda
nn-gradient 240 60 nn_test_gradient gradients of whole networks against ref's
ranks 300 120 - one, two and four worker ranks on the GPU: bit for bit
ranks-bf16 200 60 - ResNet-18 in bf16 by one and by four worker ranks: bit for bit
bench-step-tf32 240 100 - the training step beside PyTorch, tf32
bench-step-fp32 240 120 - the training step beside PyTorch, fp32
kill 300 120 - kill -9 of a child and of the whole run, resumed: bit for bit
demo 240 80 - configs/demo.cfg
plans 100 20 gpu_plans cuDNN's plans for all convolutions, asked with profiles of GPUs
errors 100 20 - a training that cannot fit; no GPU; a precision that is not there
bench-thefts-mps 300 150 - the thefts with NVIDIA's multi-process service
memcheck 300 150 device_compare compute-sanitizer memcheck: operations and two training steps
racecheck 300 150 device_compare compute-sanitizer racecheck: operations
initcheck 300 150 - compute-sanitizer initcheck: two training steps
END
}
part_field() { parts_table | awk -v part="$1" -v n="$2" '$1 == part { print $n }'; }

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
# Why there is none: what the program says, and where a bundle looks for libraries.
why_no_gpu() {
    "$DINF" list devices
    if [ -f "$PLACE/libexec/host.sh" ]; then
        echo "Libraries are looked for in these folders, and between them where ldconfig says:"
        (. "$PLACE/libexec/host.sh"; host_first; host_last; host_packages)
    else
        echo "Libraries are looked for where the loader does: LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}, ldconfig's folders"
    fi
}
trial() { [ "$DEVICE" = cpu ]; }
show() { printf '$ %s\n' "$*"; "$@"; }
show_to() { printf '$ %s\n' "${*:2}"; "${@:2}" >"$1" 2>&1; } # FILE COMMAND...
skip() { echo "SKIP: $*"; exit 77; }
missing() { echo "NOT SHOWN: $*"; exit 78; }
fail() { echo "FAIL: $*"; exit 1; }
of_gpu() { ! trial || skip "of the GPU"; }
# needs NAME: sets $found
needs() { found=$(program "$1") || missing "no program $1 among those given"; }
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

need_mpirun() { command -v mpirun >/dev/null || missing "no mpirun"; }

# small_config EPOCHS: tests/e2e/tiny.cfg with four thefts, the victim trained for so long, the others half of it
small_config() {
    rm -rf "$WORK/one" "$WORK"/by-* # of other parts
    sed -e "s/budgets = \[ 24, 48 \]/budgets = 48/" -e "s/epochs = 12;/epochs = $1;/" \
        -e "s/epochs = [46];/epochs = $(($1 / 2));/" tests/e2e/tiny.cfg >"$WORK/small.cfg"
}
# campaign NAME RANKS (0: no mpirun): of $WORK/small.cfg
campaign() {
    local launch=
    [ "$2" = 0 ] || launch="$DINF_MPIRUN -n $2"
    # words of the launcher are meant to be split
    DINF_PROGRESS=plain show_to "$WORK/campaign.log" $launch "$DINF" run "$WORK/small.cfg" --out "$WORK/$1" \
        --device "$DEVICE" --set campaign.ranks_per_gpu=4 ||
        { echo "status $?"; tail -n 20 "$WORK/campaign.log"; exit 1; }
    head -n 1 "$WORK/campaign.log"
    tail -n 1 "$WORK/campaign.log"
}
# at_a_time NAME N: so many tasks of the campaign did run at the same time, by its journal
at_a_time() {
    local most
    most=$("$PYTHON" -c 'import json, sys
now = most = 0
for line in open(sys.argv[1]):
    event = json.loads(line)["event"]
    now += (event == "start") - (event in ("done", "failed"))
    most = max(most, now)
print(most)' "$WORK/$1/journal.jsonl")
    echo "tasks at a time: $most"
    trial || [ "$most" = "$2" ] || fail "$2 were wanted" # a trial's tasks are over too soon to tell
}
# equal_by WORKERS...: the campaign by one rank without mpirun, and by so many workers
equal_by() {
    local workers
    campaign one 0
    keep one
    need_mpirun
    for workers; do
        campaign "by-$workers" $((workers + 1))
        at_a_time "by-$workers" "$workers"
        same "$WORK/one" "$WORK/by-$workers"
        keep "by-$workers"
    done
}

part_device() {
    show uname -srm
    show lscpu | grep -E '^\$|Model name|Socket|Core|Thread|^CPU\(s\)' || show nproc
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
    for tool in nvcc compute-sanitizer mpirun nvidia-cuda-mps-control; do
        command -v $tool >/dev/null || { echo "$tool: not here"; continue; }
        if [ $tool = nvidia-cuda-mps-control ]; then echo "$tool: here"; continue; fi
        echo "\$ $tool --version"
        $tool --version 2>&1 | tail -n 4
    done
}

table() { needs device_compare; show "$found" "$DEVICE" 1 "$@"; }
part_table-fp32() { table fp32; }
part_table-tf32() { of_gpu; table tf32; }
part_table-bf16() { of_gpu; table bf16; }
part_large-fp32() { table fp32 large "$(trial && echo 1 || echo 512)"; }
part_large-bf16() { of_gpu; table bf16 large 512; }
part_linalg() {
    ! trial || program gpu_linalg >/dev/null || skip "built with the cuda device only"
    needs gpu_linalg
    show "$found" "$DEVICE"
}
part_plans() { of_gpu; needs gpu_plans; show "$found" tests/gpu/profiles/*.json; }
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
    ! trial || sizes=(--arch resnet10 --width 0.125 --size 8 --batch 8 --steps 6 --precisions fp32)
    show "$PYTHON" tests/gpu/curves.py --dinf "$DINF" --device "$(trial && echo ref || echo cuda)" \
        --json "$WORK/json/curves.json" ${sizes[@]+"${sizes[@]}"}
}

part_ranks() { small_config 12; equal_by 2 4; }
part_ranks-bf16() {
    local precision=bf16 arch=resnet18 width=1.0 size=32
    ! trial || { precision=fp32; arch=resnet10; width=0.25; size=8; }
    rm -rf "$WORK/one" "$WORK"/by-*
    cat >"$WORK/small.cfg" <<END
campaign = { name = "ranks"; seed = 0; trials = 1; threads = 1; retries = 0; };
datasets = ( { name = "shapes"; format = "procedural"; classes = 10; count = 1024; size = $size; },
             { name = "members"; of = "shapes"; begin = 0; count = 512; },
             { name = "outside"; of = "shapes"; begin = 512; count = 512; } );
encoders = ( { name = "victim"; role = "victim"; train = { dataset = "members"; arch = "$arch"; width = $width;
    stem = "cifar"; loss = "infonce"; epochs = 2; batch = 128; precision = "$precision"; }; } );
steal = ( { victim = "victim"; queries = [ "outside", "members" ]; budgets = 512; loss = [ "infonce", "mse" ];
    query = { augment = "none"; views = 1; }; arch = "$arch"; width = $width; stem = "cifar"; epochs = 4;
    batch = 128; precision = "$precision"; } );
END
    equal_by 4
}

children() { grep -ls "^PPid:[[:space:]]*$1\$" /proc/[0-9]*/status | cut -d / -f 3 || true; }
events() { grep -c "\"event\":\"$2\"" "$1/journal.jsonl" 2>/dev/null || true; }
# kill_children MPIRUN N: of its ranks
kill_children() {
    local rank child
    killed=0
    while [ $killed -lt "$2" ] && kill -0 "$1" 2>/dev/null; do
        for rank in $(children "$1"); do
            child=$(children "$rank" | head -n 1)
            if [ -n "$child" ] && kill -9 "$child" 2>/dev/null; then killed=$((killed + 1)); break; fi
        done
        sleep 0.2
    done
    [ $killed -gt 0 ] || fail "no child was there to be killed"
}
part_kill() {
    need_mpirun
    local pid killed before planned
    small_config "$(trial && echo 120 || echo 240)"
    campaign one 0
    echo "\$ $DINF_MPIRUN -n 3 $DINF run $WORK/small.cfg --out $WORK/broken ..."
    DINF_PROGRESS=plain $DINF_MPIRUN -n 3 "$DINF" run "$WORK/small.cfg" --out "$WORK/broken" --device "$DEVICE" \
        --set campaign.ranks_per_gpu=4 >"$WORK/broken.log" 2>&1 &
    pid=$!
    until [ "$(events "$WORK/broken" done)" -ge 3 ] 2>/dev/null || ! kill -0 $pid 2>/dev/null; do sleep 0.05; done
    kill_children $pid 2
    kill -9 $pid 2>/dev/null || fail "the campaign was over before mpirun was killed"
    wait $pid 2>/dev/null || true
    sleep 3 # ranks notice that mpirun is gone
    before=$(events "$WORK/broken" done) started=$(events "$WORK/broken" start)
    planned=$(grep -o '"kind":' "$WORK/broken/plan.json" | wc -l)
    echo "kill -9 of $killed children, then of mpirun: $before of $planned tasks were done"
    [ "$before" -lt "$planned" ] || fail "the campaign was over before mpirun was killed"
    campaign broken 3
    started=$(($(events "$WORK/broken" start) - started))
    echo "the resumed run started $started tasks; launches in the journal: $(events "$WORK/broken" run)"
    [ $started -gt 0 ] || fail "the resumed run had nothing to do"
    same "$WORK/one" "$WORK/broken"
    keep broken
}

# Under the sanitizer every plan that is measured takes minutes: the command chooses them beforehand, without it.
sanitize() { # TOOL COMMAND...
    local tool=$1 code=0
    shift
    export DINF_CUDA_CHOICES=$WORK/choices-of-${1##*/}
    command -v compute-sanitizer >/dev/null || missing "no compute-sanitizer"
    "$@" >"$WORK/out" 2>&1 || { tail -n 15 "$WORK/out"; fail "without the sanitizer, too"; }
    show compute-sanitizer --tool "$tool" --target-processes all --error-exitcode 3 "$@" || code=$?
    [ $code = 0 ] || fail "status $code of $tool"
}
two_steps() {
    local precision
    for precision in fp32 bf16; do
        sanitize "$1" "$DINF" bench train --steps 2 --warmup 0 --device cuda --arch resnet10 --size 16 --batch 8 \
            --precision $precision
    done
}
# a table's operations in one precision: the whole would take hours
part_memcheck() { of_gpu; two_steps memcheck; needs device_compare; sanitize memcheck "$found" cuda 1 bf16; }
part_racecheck() { of_gpu; needs device_compare; sanitize racecheck "$found" cuda 1 bf16; }
# (cuDNN's own kernels may read working memory that they did not write: the report says whose kernel it was.)
part_initcheck() { of_gpu; two_steps initcheck; }

part_demo() {
    local launch= start=$SECONDS config=configs/demo.cfg
    ! trial || config=tests/e2e/tiny.cfg
    ! command -v mpirun >/dev/null || launch="$DINF_MPIRUN -n 5"
    DINF_PROGRESS=plain show_to "$WORK/demo.log" $launch "$DINF" run $config --out "$WORK/demo" --device "$DEVICE" ||
        { echo "status $?"; tail -n 20 "$WORK/demo.log"; exit 1; }
    head -n 1 "$WORK/demo.log"
    tail -n 1 "$WORK/demo.log"
    echo "$((SECONDS - start)) s"
    keep demo
    if ! trial && has_module h5py && has_module pandas && has_module matplotlib; then
        show "$PYTHON" analysis/all.py "$WORK/demo" || fail "no figures"
    fi
}

. tests/gpu/bench_parts.sh
if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    set -euo pipefail
    cd "$ROOT"
    # a step that is not recorded would be slower and say nothing; nn-feed provokes it
    [ "$1" = nn-feed ] || export DINF_RECORD=required
    case $1 in
    bench-*) gpu_state before; trap 'gpu_state after' EXIT ;;
    ranks* | kill | nn-*) export DINF_CUDA_CHOICES=$WORK/choices ;; # measured anew, other algorithms would be other bits
    esac
    "part_$1"
fi
