# shellcheck shell=bash
# The benchmarks of run.sh: tests/bench/gpu with the sizes that were promised, or small ones in a trial.

# gpu_state WHEN: what else could be slow about the GPU
gpu_state() {
    echo "-- $1: load $(cut -d ' ' -f 1-3 /proc/loadavg)"
    command -v nvidia-smi >/dev/null || { echo "no nvidia-smi"; return 0; }
    nvidia-smi --format=csv,noheader --query-gpu=name,driver_version,pstate,clocks.sm,clocks.mem,temperature.gpu,\
power.draw,utilization.gpu,memory.used || true
    nvidia-smi --format=csv,noheader --query-gpu=clocks_event_reasons.active |
        sed 's/^/reasons for lower clocks: /' || true
    nvidia-smi --format=csv,noheader --query-compute-apps=pid,process_name,used_memory |
        sed 's/^/other process: /' || true
}

need_torch() { has_module torch || missing "no PyTorch"; }

step() { # PRECISION PEERS...
    local precision=$1 sizes=()
    shift
    need_torch
    ! trial || sizes=(--arch resnet10 --width 0.25 --size 16 --batch 8 --steps 2 --warmup 2 --repeats 2)
    show "$PYTHON" tests/bench/gpu/simclr_torch.py
    show "$PYTHON" tests/bench/gpu/train_step.py --dinf "$DINF" --device "$DEVICE" --precisions "$precision" \
        --peers "$@" --json "$WORK/json/bench-step-$precision.json" ${sizes[@]+"${sizes[@]}"}
}
part_bench-step-bf16() { of_gpu; step bf16 eager compile loader; }
part_bench-step-tf32() { of_gpu; step tf32 eager compile; }
part_bench-step-fp32() { if trial; then step fp32 eager loader; else step fp32 eager compile; fi; }

thefts() { # NAME OPTIONS...
    local name=$1 sizes=()
    shift
    ! trial || sizes=(--thefts 2 --queries 64 --epochs 1 --batch 32 --arch resnet8 --width 0.125 --size 8
        --precision fp32)
    need_mpirun
    show "$PYTHON" tests/bench/gpu/thefts.py --dinf "$DINF" --device "$DEVICE" --json "$WORK/json/$name.json" \
        --mpirun "$DINF_MPIRUN" ${sizes[@]+"${sizes[@]}"} "$@"
}
part_bench-thefts() {
    local workers="1 4 8 2"
    ! trial || workers="1 2"
    thefts bench-thefts --workers $workers
}
part_bench-thefts-mps() {
    of_gpu
    "$PYTHON" -c 'import sys; sys.path.insert(0, "tests/bench/gpu"); import thefts; sys.exit(not thefts.find_mps())' ||
        missing "no nvidia-cuda-mps-control"
    thefts bench-thefts-mps --mps yes --workers 4 8 --baseline "$WORK/json/bench-thefts.json"
}

part_bench-gmm() {
    local sizes=()
    has_module numpy || missing "no NumPy"
    ! trial || sizes=(--n 2000 --d 64 --k 5 --iterations 4 --peer-iterations 2)
    show "$PYTHON" tests/bench/gpu/gmm.py --dinf "$DINF" --device "$DEVICE" --json "$WORK/json/bench-gmm.json" \
        ${sizes[@]+"${sizes[@]}"}
}

part_bench-chip() {
    local sizes=()
    need_torch
    ! trial || sizes=(--megabytes 32 --side 256)
    show "$PYTHON" tests/bench/gpu/floor.py --device "$DEVICE" --json "$WORK/json/bench-chip.json" \
        ${sizes[@]+"${sizes[@]}"}
}

part_bench-device() { needs device_bench; show "$found" "$DEVICE" 1; }

# find_ncu: its folder is not always on PATH
find_ncu() { command -v ncu || ls /usr/local/cuda/bin/ncu /opt/nvidia/nsight-compute/*/ncu 2>/dev/null | tail -n 1; }

# One of two steps of ResNet-34, the kernels one by one; what was measured before is not measured under the profiler.
part_profile() {
    of_gpu
    export DINF_CUDA_CHOICES=${DINF_CUDA_CHOICES:-$WORK/choices} DINF_CUDA_GRAPHS=0
    local ncu train=("$DINF" bench train --device cuda --arch resnet34 --batch 256 --precision bf16 --steps 2 --warmup 1)
    local log=${KEEP_RESULTS:-$WORK}/ncu.csv
    show "${train[@]}"
    mkdir -p "${log%/*}"
    ncu=$(find_ncu) || true
    if [ -n "$ncu" ]; then
        show "$ncu" --target-processes all --clock-control none --cache-control none --csv --log-file "$log" \
            --metrics gpu__time_duration.sum,dram__bytes_read.sum,dram__bytes_write.sum \
            --launch-skip 460 --launch-count 480 "${train[@]}" && "$PYTHON" tests/gpu/profile.py "$log" && return 0
        tail -n 5 "$log" || true
    fi
    command -v nsys >/dev/null || missing "no profile by kernel: ${ncu:-no ncu}${ncu:+ failed}, no nsys"
    show nsys profile --trace cuda --stats true --force-overwrite true --output "$WORK/nsys" "${train[@]}"
}
