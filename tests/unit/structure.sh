#!/usr/bin/env bash
# The structure that src/README.md promises: every external header has one home,
# arrows between rooms point one way, unsafe string functions do not appear.
set -u
shopt -s lastpipe # `complain` at the end of a pipe sets `bad` of this shell
cd "$(dirname "$0")/../../src"
bad=0

complain() { # complain WHAT: fails if standard input has lines
    local found
    found=$(cat)
    if [ -n "$found" ]; then
        printf '%s:\n%s\n' "$1" "$found"
        bad=1
    fi
}

home() { # home HEADER FOLDER...: HEADER is included only below FOLDERs
    local header=$1 pattern
    shift
    pattern=$(printf '|^%s/' "$@")
    grep -rlE "#include [<\"]$header" . | sed 's|^\./||' | grep -vE "${pattern:1}" | complain "$header outside $*"
}

home 'mpi\.h' coord
home 'hdf5' store
home 'libconfig' conf
home '(oneapi/)?(dnnl/)?dnnl\.h' device/cpu
home 'cblas' device/cpu
home 'cuda' device/cuda
home 'openssl/' base

# room: the rooms it may include
allow() {
    local room=$1 pattern
    shift
    pattern=$(printf '|%s' "$room" "$@")
    grep -rnE '#include "[a-z_]+/' "$room" | grep -vE "#include \"(${pattern:1})/" | complain "$room reaches beyond: $*"
}

allow base
allow conf base
allow device base conf
allow store base conf
allow data base conf device store
allow stats base conf device
allow nn base conf device store data
allow tasks base conf device store data nn stats
allow plan base conf data tasks
allow coord base conf store plan tasks
allow cli base conf device store data nn stats tasks plan coord

grep -rnE '\b(strcpy|strcat|sprintf|gets|strtok|atoi|atof)\(' . | complain 'unsafe string functions'
grep -rnE '\b(exit|_exit|abort)\(' --include='*.c' . | grep -vE '^\./main\.c|^\./coord/|^\./tasks/mock\.c' | complain 'exit outside main'
# coord/failure.c knows errors by their words
sed -n '/marks\[\] = {/,/^};/s/^ *"\(.*\)",$/\1/p' coord/failure.c | while IFS= read -r words; do
    grep -rqF --include='*.[ch]' "$words" base conf device store data nn stats tasks || printf '%s\n' "$words"
done | complain 'coord/failure.c knows errors that no room has'
exit $bad
