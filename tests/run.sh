#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test that this machine can run.
#   tests/run.sh            everything
#   tests/run.sh -L unit    further words go to ctest
set -euo pipefail
cd "$(dirname "$0")/.."
. jobs/lib.sh

# the form of the sources, peers to check against, and a Slurm of the tests' own
dinf_install clang-format-14 python3-scipy python3-sklearn python3-torch python3-torchvision slurm-wlm slurm-wlm-basic-plugins munge
dinf_build build
OMP_NUM_THREADS=1 ctest --test-dir build --output-on-failure -j2 "$@"
