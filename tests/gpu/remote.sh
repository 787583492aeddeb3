#!/usr/bin/env bash
# run.sh on a machine with a time limit, of which only the files in $OUT are kept.
#   OUT=DIR tests/gpu/remote.sh [--bundle ARCHIVE] [--limit SECONDS] [options of run.sh]
# --bundle  an archive, or the unpacked folder, of containers/bundle.sh; otherwise the folder build, or run.sh's --build
# --limit   seconds (600), counted from the start of this script
# Reports of the same revision in tests/gpu/reports are gone on with: copy there what came back in $OUT, and call again.
set -euo pipefail
: "${OUT:?the folder that is kept}"
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
root=$(cd -P "$(dirname "$0")/../.." && pwd)
begin=$SECONDS limit=600 margin=20 place=$root/build archive='' options=()
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --bundle) archive=$2; shift 2 ;;
    --limit) limit=$2; shift 2 ;;
    --build) place=$2 options+=("$1" "$2"); shift 2 ;;
    *) options+=("$1"); shift ;;
    esac
done
dinf=$place/dinf
if [ -d "$archive" ]; then
    place=$archive dinf=$archive/bin/dinf
    options+=(--bundle "$place")
elif [ -n "$archive" ]; then
    folder=$(mktemp -d "${TMPDIR:-/tmp}/dinf-bundle.XXXXXX")
    trap 'rm -rf "$folder"' EXIT
    tar -C "$folder" -xf "$archive"
    place=$(echo "$folder"/dinf-*)
    dinf=$place/bin/dinf
    options+=(--bundle "$place")
fi
revision=$("$dinf" --version | sed -n 's/.*(\(.*\)).*/\1/p')
for report in "$root"/tests/gpu/reports/"$revision"-*.md; do
    [ ! -f "$report" ] || [ -e "$OUT/${report##*/}" ] || cp "$report" "$OUT/"
done
budget=$((limit - (SECONDS - begin) - margin))
"$root/tests/gpu/run.sh" --reports "$OUT" --budget $((budget > 0 ? budget : 0)) ${options[@]+"${options[@]}"}
