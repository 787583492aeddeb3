#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test that this machine can run; then the
# parsers, the rooms and the commands once more under AddressSanitizer and
# UndefinedBehaviorSanitizer, in a build of their own.
#   tests/run.sh            everything
#   tests/run.sh -L unit    further words go to ctest; without the sanitizers
set -euo pipefail
cd "$(dirname "$0")/.."
. jobs/lib.sh

# the form of the sources, peers to check against, and a Slurm of the tests' own
dinf_install clang-format-14 clang-tidy-14 python3-scipy python3-sklearn python3-torch python3-torchvision slurm-wlm \
    slurm-wlm-basic-plugins munge
export OMP_NUM_THREADS=1
DINF_CMAKE=-DDINF_WERROR=ON dinf_build build
if [ $# -gt 0 ]; then
    exec ctest --test-dir build --output-on-failure -j2 "$@"
fi
status=0
ctest --test-dir build --output-on-failure -j2 || status=$?

# Not what is slow and the same code as elsewhere: mpirun, Slurm, figures, the devices' tables.
checked=build-sanitize
DINF_CUDA=OFF DINF_CMAKE="-DDINF_WERROR=ON -DDINF_SANITIZE=address,undefined" dinf_build $checked dinf dinf_unit_tests
# gcc 12's AddressSanitizer does not start where a kernel spreads addresses wider than it knows
calm=()
"$checked/dinf" --version >/dev/null 2>&1 || calm=(setarch "$(uname -m)" -R)
export UBSAN_OPTIONS=print_stacktrace=1
"${calm[@]}" ctest --test-dir $checked --output-on-failure -j2 -L '^(unit|fuzz)$' -E '^unit\.(format|lint|structure)$' ||
    status=$?
"${calm[@]}" ctest --test-dir $checked --output-on-failure -j2 -R '^e2e\.(commands|bad_input|evaluations|weights)$' ||
    status=$?
exit $status
