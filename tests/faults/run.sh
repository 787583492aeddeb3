#!/usr/bin/env bash
# N faults injected into whole runs of dinf, a table of what became of them; README.md says which and how they are judged.
#   tests/faults/run.sh N [--seed S] [--dinf PATH] [--kind NAME] [--jobs J] [--keep]
# DINF: the program, if not build/dinf; DINF_INJECTOR: the library of failing calls, if it does not lie beside it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../jobs/lib.sh"
export DINF_MPIRUN DINF=${DINF:-$here/../../build/dinf}
if [ -z "${DINF_INJECTOR:-}" ]; then
    DINF_INJECTOR=$(dirname "$DINF")/tests/faults/libfault_inject.so
    [ -f "$DINF_INJECTOR" ] || DINF_INJECTOR=
fi
export DINF_INJECTOR
exec "$DINF_PYTHON" -B "$here/faults.py" "$@"
