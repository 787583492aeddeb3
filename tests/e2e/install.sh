#!/usr/bin/env bash
# An installed dinf works from its own folder, also after that has moved.
#   install.sh SOURCE BUILD
set -euo pipefail
source=$(realpath "$1") build=$(realpath "$2")
scratch=$(mktemp -d)
trap 'chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT
cd "$scratch"
fail() { echo "FAILED: $*" >&2; exit 1; }

cmake --install "$build" --prefix "$scratch/first" >install.log
mv first moved
root=$scratch/moved
for file in bin/dinf share/dinf/README.md share/dinf/jobs/local.sh share/dinf/jobs/slurm/one-node.sbatch \
    share/dinf/configs/demo.cfg share/dinf/analysis/results.py; do
    [ -e "$root/$file" ] || fail "$file is not installed"
done
for file in "$build/dinf" "$root/bin/dinf" "$build"/libdinf_cuda.so "$root"/lib/libdinf_cuda.so; do
    [ -e "$file" ] || continue # without CUDA
    ! readelf -d "$file" | grep -E 'R(UN)?PATH.*(\[:|::|:\])' || fail "$file looks for libraries in the current folder"
done
! find "$root" -name '*.pyc' | grep -q . || fail "compiled Python is installed"
[ "$("$root/bin/dinf" --version)" = "$("$build/dinf" --version)" ] || fail "--version differs"
"$root/bin/dinf" plan "$root/share/dinf/configs/demo.cfg" >plan.txt || fail "the demo's plan"
"$root/bin/dinf" run "$source/tests/e2e/tiny.cfg" --out tiny >run.log 2>&1 || { cat run.log; fail "a campaign"; }
"$root/share/dinf/analysis/all.py" tiny >all.txt || fail "its figures"
grep -q "of 7 figures and tables" all.txt || fail "the figures' report"
chmod -R a-w "$root/share" # as a user finds it
"$root/share/dinf/jobs/local.sh" "$root/share/dinf/configs/mock.cfg" -n 2 >local.log 2>&1 || { cat local.log; fail "local.sh"; }
[ -f runs/mock/results.h5 ] || fail "local.sh: results are not where it was started"
echo "installed, moved, used"
