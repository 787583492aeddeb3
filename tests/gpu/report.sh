# shellcheck shell=bash
# The report of run.sh: sections between marks, so that it is its own memory. What was measured is in it as JSON.
# $out the report, $WORK/sections and $WORK/json what it is made of, $program_line what it belongs to.

# escaped TEXT: for the left side of sed's s|||
escaped() { printf '%s' "$1" | sed 's/[][\\.*^$|]/\\&/g'; }

# Folders of this machine out of what is shown.
shorten() {
    sed -e "s|$(escaped "$WORK")|WORK|g" -e "s|$(escaped "$place")|$called|g" -e "s|$(escaped "$root")/||g" \
        -e "s|$(escaped "$PYTHON") |python3 |g" -e "s|^<!--|< !--|"
}

sha_of() { # NAME: of a program among those given (in a bundle bin/ starts libexec/), or none
    local file=$place/libexec/$1
    [ "$1" != libdinf_cuda.so ] || file=$(find "$place" -name "$1" -type f 2>/dev/null | head -n 1)
    [ -f "$file" ] || file=$(program "$1") || file=
    if [ -f "$file" ]; then sha256sum "$file" | cut -c 1-16; else echo none; fi
}

# mark_of PART: what its result depends on: programs, GPU, driver
mark_of() {
    local uses
    uses=$(part_field "$1" 4)
    if [ "$uses" != - ]; then uses=$(sha_of "$uses"); fi
    printf '%s %s' "$program_line" "$uses" | sha256sum | cut -c 1-12
}

# read_report: sections and figures of earlier calls; one of other programs or another GPU is put aside
read_report() {
    local number=1 section
    [ -s "$out" ] || return 0
    if ! grep -qxF "<!-- for $program_line -->" "$out"; then
        while [ -e "${out%.md}.$number.md" ]; do number=$((number + 1)); done
        mv "$out" "${out%.md}.$number.md"
        dinf_say "the report is of other programs or another GPU: kept as $(basename "${out%.md}").$number.md"
        return 0
    fi
    awk -v to="$WORK/sections" '/^<!-- part / { at = to "/" $3 } at { print >at }
        /^<!-- end / { if (at) close(at); at = "" }' "$out"
    awk -v to="$WORK/json" '/^```json / { at = to "/" $2; next } /^```/ { if (at) close(at); at = "" }
        at { print >at }' "$out"
    for section in "$WORK"/sections/*; do
        [ -e "$section" ] || continue
        part=$(basename "$section")
        [ "$(field_of "$part" 5)" = "$(mark_of "$part")" ] || {
            dinf_say "$part: its test program is another one: done again"
            rm -f "$section" "$WORK/json/$part".*json
        }
    done
}

# First lines of sections: <!-- part NAME SECONDS MARK STATUS... -->
field_of() { sed -n 1p "$WORK/sections/$1" 2>/dev/null | cut -d ' ' -f "$2" || true; }
status_of() { sed -n '1s/^<!-- part [^ ]* [0-9]* [^ ]* \(.*\) -->$/\1/p' "$WORK/sections/$1" 2>/dev/null || true; }
finished() {
    case $(status_of "$1") in
    ok | skipped) ;;
    failed | 'out of time') [ -z "$again" ] ;;
    *) return 1 ;;
    esac
}

# section PART STATUS SECONDS LIMIT WHAT: from $WORK/log
section() {
    local lines file
    {
        echo "<!-- part $1 $3 $(mark_of "$1") $2 -->"
        echo "## $1: $2, $3 s of at most $4 s"
        echo
        echo "$5; begun $begun"
        echo
        echo '````text'
        lines=$(wc -l <"$WORK/log")
        if [ "$lines" -le 220 ]; then
            cat "$WORK/log"
        else
            head -n 60 "$WORK/log"
            echo "... $((lines - 200)) lines left out ..."
            tail -n 140 "$WORK/log"
        fi | tr -d '\000-\010\013-\037' | shorten | cut -c 1-400
        echo '````'
        for file in "$WORK/json/$1".json "$WORK/json/$1".*.json; do
            [ -s "$file" ] || continue
            echo
            echo "\`\`\`json $(basename "$file")"
            shorten <"$file"
            echo '```'
        done
        echo "<!-- end $1 -->"
    } >"$WORK/section"
    mv "$WORK/section" "$WORK/sections/$1"
}

parts_and_statuses() {
    local part rest
    while read -r part rest; do
        echo "$part $(status_of "$part" | grep . || echo 'not run')"
    done < <(parts_table)
}

table_of_parts() {
    local part limit least uses what
    echo "| part | status | time [s] | what |"
    echo "|---|---|---:|---|"
    while read -r part limit least uses what; do
        echo "| $part | $(status_of "$part" | grep . || echo 'not run') | $(field_of "$part" 4) | $what |"
    done < <(parts_table)
}

# The two tables that are computed anew from all figures.
tables_of_figures() {
    local file files=()
    echo "## What was promised"
    echo
    ! trial || printf '%s\n\n' "**A trial of the script: nothing here tells anything about a GPU.**"
    parts_and_statuses >"$WORK/statuses"
    "$PYTHON" tests/bench/gpu/claims.py --parts "$WORK/statuses" "$WORK/json" 2>&1 || true
    echo
    echo "## Shares of the floor"
    echo
    for file in "$WORK"/json/bench-{step,thefts,gmm}*.json; do [ ! -s "$file" ] || files+=("$file"); done
    if [ -s "$WORK/json/bench-chip.json" ]; then
        "$PYTHON" tests/bench/gpu/floor.py --chip "$WORK/json/bench-chip.json" ${files[@]+"${files[@]}"} 2>&1 || true
    else
        echo "The part bench-chip has not measured the chip's rates."
    fi
}

write_report() {
    local part rest
    {
        echo "# The cuda device on: $gpu"
        echo "<!-- for $program_line -->"
        echo
        echo "Written by tests/gpu/run.sh, last on $(date -u '+%F %T') UTC."
        echo "Revision $revision${bundle:+, from a bundle}; driver ${driver:-none}."
        echo "Processor $cpu_model, $(nproc) cores."
        echo "A part's time includes starting its processes. Absolute figures belong to this machine."
        echo
        table_of_parts
        echo
        tables_of_figures | shorten
        while read -r part rest; do
            [ ! -e "$WORK/sections/$part" ] || { echo; cat "$WORK/sections/$part"; }
        done < <(parts_table)
    } >"$out.new"
    mv -f "$out.new" "$out"
}

# verdict PART...: the exit status
verdict() {
    local part failed= left= unseen=
    for part; do
        case $(status_of "$part") in
        ok | skipped) ;;
        failed | 'out of time') failed=1 ;;
        'not shown') unseen=1 ;;
        *) left=1 ;;
        esac
    done
    [ -z "$left" ] || dinf_say "parts are left: the same command goes on"
    [ -z "$failed" ] || return 1
    [ -z "$left" ] || return 75
    [ -z "$unseen" ] || { dinf_say "parts lack something here and are not shown"; return 3; }
}
