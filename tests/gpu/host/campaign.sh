#!/usr/bin/env bash
# Whole campaigns on the cuda device where there is no GPU: the program with a
# libdinf_cuda.so beside it that was linked to the host libraries of this folder.
#   DINF=build/dinf tests/gpu/host/campaign.sh MODULE
. "$(dirname "$0")/../../mpi/lib.sh"
module=$(readlink -f "$1")
tiny=$work/tiny.cfg
sed 's/budgets = .*; loss/budgets = 48; loss/; s/loss = \[ "infonce", "mse" \]/loss = "infonce"/; s/"gap", "learned"/"gap"/
     s/^campaign = {/& ranks_per_gpu = 2;/' "$here/../e2e/tiny.cfg" >"$tiny"

mkdir gpu
cp "$DINF" gpu/dinf
cp "$module" gpu/libdinf_cuda.so
ln -s libdinf_cuda.so gpu/libcuda.so.1 # a driver, as far as anybody asks for one
export DINF=$work/gpu/dinf LD_LIBRARY_PATH=$work/gpu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

run 0 2 "$tiny" --device cuda --out one
grep -q backward_weight one/cuda-choices || fail "no choices of algorithms were kept"
"$DINF_PYTHON" - one/results.h5 >last.out <<'PY'
import sys, h5py
print(set(h5py.File(sys.argv[1])["tasks"]["device"]))
PY
says last.out "GPU on the host, PCI 0000:00:00.0"

# Ranks that share the GPU change no bit.
run 0 5 "$tiny" --device cuda --out four
same one four
run 0 3 "$tiny" --set 'encoders.victim.train.precision="bf16"' --device auto --out bf16
! "$DINF_PYTHON" "$here/compare.py" one bf16 >/dev/null 2>&1 || fail "bf16 gives the bits of fp32"

# Whether steps are replayed is said; a refusal is an error where that is wished.
bench() { "$DINF" bench train --device cuda --json --arch resnet8 --width 0.125 --size 8 --batch 4 --steps 2 --warmup 2; }
bench | grep -q '"recorded": *true' || fail "steps were not recorded"
DINF_CUDA_GRAPHS=0 bench | grep -q '"recorded": *false' || fail "steps were recorded"
HOST_GPU_FAULT="no recording" bench 2>/dev/null | grep -q '"recorded": *false' || fail "a refused recording is none"
! HOST_GPU_FAULT="no recording" DINF_RECORD=required bench >last.out 2>&1 || fail "a refused recording is an error"
says last.out "could not be recorded"

# A GPU that is lost fails the attempts, in a sentence, and hangs nobody.
HOST_GPU_FAULT=lost run 1 2 "$tiny" --device cuda --set campaign.retries=1 --out lost
says last.err "the GPU is lost to this process"
HOST_GPU_FAULT=none run 2 2 "$tiny" --device cuda --out none
says last.err "no GPU is visible here"

# A library of another revision is not used.
revision=$("$DINF" --version | sed -n '1s/.*(\([^)]*\)).*/\1/p')
mkdir other
cp gpu/dinf other/
sed "s/$revision/$(printf '%s' "$revision" | tr '0-9a-z' 'x')/g" gpu/libdinf_cuda.so >other/libdinf_cuda.so
(LD_LIBRARY_PATH=$work/gpu other/dinf list devices) >last.out 2>&1 || fail "dinf list devices with another library"
says last.out "from another revision"

KINDS=child "$here/kill.sh" 5 "$tiny" 2
