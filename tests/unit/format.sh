#!/usr/bin/env bash
# Every source has the form that .clang-format gives it.
#   tests/unit/format.sh CLANG_FORMAT
set -euo pipefail
cd "$(dirname "$0")/../.."
find src tests \( -name '*.c' -o -name '*.h' -o -name '*.cu' -o -name '*.cpp' \) -print0 |
    xargs -0 -r "$1" --dry-run -Werror
