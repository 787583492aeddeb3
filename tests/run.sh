#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test that this machine can run.
#   tests/run.sh            everything
#   tests/run.sh -L unit    further words go to ctest
set -euo pipefail
cd "$(dirname "$0")/.."
. jobs/lib.sh

dinf_install python3-numpy python3-h5py python3-pandas python3-matplotlib python3-scipy python3-sklearn
dinf_build build
OMP_NUM_THREADS=2 ctest --test-dir build --output-on-failure -j2 "$@"
