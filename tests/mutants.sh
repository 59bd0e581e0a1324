#!/usr/bin/env bash
# Breaks the core on purpose and looks whether a test notices.
#
# usage: tests/mutants.sh [--min PERCENT] [--shard K/N] ROOM...
#        tests/mutants.sh hand [--seeds N] [--runs N] [--only sim|units] [--results] [NAME...]
#        tests/mutants.sh --check
#
#   ROOM...        cargo mutants over rooms of the core: slot server_error resp command topology pipeline scan pubsub
#                  connection. Each is copied to target/mutants/ROOM with the rooms below it and nothing else, so that a
#                  mutant costs a second or two. What the room's own tests miss is tried again with the tests of the
#                  package slotwise-tests that judge the room. Exits non-zero where a room stays under PERCENT (90).
#   --shard K/N    every Nth mutant only, beginning with number K (0 to N-1)
#   hand           the hand-written mutants in tests/mutants/*.patch, each applied to a copy of the repository
#   --check        only looks whether every patch still applies and every line of equivalent.txt still stands in the code
#
#   --seeds N      seeds of the simulator that a hand-written mutant has to be caught in (300), else the unit tests judge
#   --runs N       so many runs of that from different seeds (3); the median is printed
#   --only WHICH   only the simulator (sim), or only the unit tests (units)
#   --results      writes what was seen of each into tests/mutants/RESULTS.md, and leaves the rows of the others there
#
# tests/mutants/equivalent.txt names the mutants that change nothing a test could see, and why. Needs cargo-mutants 27
# (cargo install cargo-mutants --locked). PROPTEST_CASES (default 32) bounds the property tests. SLOTWISE_MUTANTS_DIR is
# where everything is built (target/mutants).
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
here=$top/tests/mutants
out=${SLOTWISE_MUTANTS_DIR:-$top/target/mutants}
results=$here/RESULTS.md
equivalent=$here/equivalent.txt
export SLOTWISE_SERVERS=${SLOTWISE_SERVERS:-$top/target/servers}
export PROPTEST_CASES=${PROPTEST_CASES:-32} CARGO_TERM_COLOR=never

fail() {
    printf 'mutants: %s\n' "$*" >&2
    exit 1
}

usage() {
    sed -n '2,24s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

# ---- a room and what it stands on ----

# The rooms a room imports from, itself last.
rooms_of() {
    case $1 in
    slot | resp) echo "$1" ;;
    server_error) echo slot server_error ;;
    command) echo resp slot command ;;
    topology) echo resp slot server_error topology ;;
    pipeline) echo resp slot command server_error topology pipeline ;;
    scan | pubsub) echo resp slot server_error topology "$1" ;;
    connection) echo resp connection ;;
    cluster) echo resp slot command server_error topology pipeline scan pubsub connection cluster ;;
    *) fail "there is no room $1" ;;
    esac
}

# Tests outside of the core that judge a room without the rooms above it.
judges_of() {
    case $1 in
    slot) echo key_slots ;;
    command) echo command_keys ;;
    topology) echo topology_fixtures ;;
    esac
}

# Compiling costs more than running the tests, but where these go over whole slot maps again and again.
optimize() { case $1 in scan) echo 1 ;; *) echo 0 ;; esac; }

# The part of the core with only these rooms, as a package of its own.
copy_room() {
    local room=$1 copy=$2 from=${3:-$top} rooms part judge base="fmt addr ids limits rand time"
    rooms=$(rooms_of "$room")
    mkdir -p "$copy/src" "$copy/tests"
    rm -rf "$copy/src" "$copy/tests" "$copy/judges"
    mkdir -p "$copy/src" "$copy/tests" "$copy/judges/src"
    sed -n '/^#!\[no_std\]/,/^extern crate std/p' "$from/core/src/lib.rs" >"$copy/src/lib.rs"
    for part in $base $rooms; do
        cp -r "$from/core/src/$part"* "$copy/src/"
        if [ "$part" = fmt ]; then printf 'mod fmt;\n'; else printf 'pub mod %s;\n' "$part"; fi >>"$copy/src/lib.rs"
        # Tests of the rooms below would only be compiled again for each mutant.
        [ "$part" = "$room" ] || find "$copy/src/$part"* -name '*.rs' -exec perl -0pi -e 's/#\[cfg\((all\()?test\b[^\n]*\n(#\[[^\n]*\n)*mod \w+;\n//g' {} +
    done
    {
        sed -n '/^\[features\]/,/^\[dev-dependencies\]/p' "$from/core/Cargo.toml" | sed -e 's/^default = .*/default = ["all"]/' -e '/^\[features\]/a all = ["scan", "pubsub", "nodes-reply", "shards-reply", "request-parser", "float", "streamed"]'
        sed -n 's/^proptest = /proptest = /p' "$from/Cargo.toml"
        printf 'serde_json = "1"\nslotwise-tests = { path = "judges" }\n'
        printf '[profile.dev]\ndebug = 0\nopt-level = 0\n[profile.dev.package.slotwise]\nopt-level = %s\n' "$(optimize "$room")"
        printf '[package]\nname = "slotwise"\nversion = "0.1.0"\nedition = "2024"\n[workspace]\nmembers = ["judges"]\n'
        sed -n '/^\[workspace\.dependencies\]/,/^\[workspace\.lints/{/^\[workspace\.lints/!p}' "$from/Cargo.toml"
    } >"$copy/Cargo.toml"
    cp "$from/Cargo.lock" "$copy/"
    printf '[package]\nname = "slotwise-tests"\nversion = "0.0.0"\nedition = "2024"\n' >"$copy/judges/Cargo.toml"
    cp -r "$from/tests/src/real" "$copy/judges/src/"
    printf 'pub mod real;\n' >"$copy/judges/src/lib.rs"
    ln -sfn "$from/tests/facts" "$copy/facts"
    ln -sfn "$top/tests/fixtures" "$copy/fixtures"
    for judge in $(judges_of "$room"); do
        cp -r "$from/tests/tests/$judge"* "$copy/tests/"
    done
}

# ---- cargo mutants over one room ----

# Reads mutants as cargo mutants names them; writes `FILE | what was done | the line of code`, which stands when lines move.
describe() {
    local copy=$1 name file rest line
    while IFS= read -r name; do
        file=${name%%:*}
        rest=${name#*:}
        line=${rest%%:*}
        rest=${rest#*:}
        printf '%s | %s | %s\n' "$file" "${rest#*: }" "$(sed -n "${line}s/^ *//p" "$copy/$file")"
    done
}

lines_in() { if [ -f "$1" ]; then grep -c . "$1" || true; else echo 0; fi; }

run_room() {
    local room=$1 copy=$out/$1 judge left began=$SECONDS result=0 shown
    copy_room "$room" "$copy"
    rm -rf "$copy/mutants.out" "$copy/mutants.out.old"
    local options=(--dir "$copy" --config "$here/mutants.toml" --in-place --output "$copy" --no-shuffle --build-timeout 300
        --file "src/$room/**")
    # 2 and 3 say that mutants were missed or timed out, which is counted below.
    cargo mutants "${options[@]}" "${shard[@]}" --cargo-arg=--lib -- "$room::" >"$copy/run.log" 2>&1 || result=$?
    case $result in 0 | 2 | 3) ;; *) tail -30 "$copy/run.log" >&2 && fail "cargo mutants could not run in $room" ;; esac
    local results=$copy/mutants.out
    local total caught timeout unviable missed explained
    total=$(wc -l < <(cat "$results"/{caught,missed,timeout,unviable}.txt))
    caught=$(lines_in "$results/caught.txt")
    timeout=$(lines_in "$results/timeout.txt")
    unviable=$(lines_in "$results/unviable.txt")
    cp "$results/missed.txt" "$copy/missed.txt"
    # The other tests judge only what is left.
    for judge in $(judges_of "$room"); do
        [ -s "$copy/missed.txt" ] || continue
        result=0
        left=$(sed 's/[][\\.^$*+?(){}|]/\\&/g' "$copy/missed.txt" | paste -sd '|')
        cargo mutants "${options[@]}" --re "^($left)\$" --cargo-arg=--test="$judge" >"$copy/run-$judge.log" 2>&1 || result=$?
        if [ "$result" -eq 4 ]; then
            # It wants servers that are not there.
            printf '    %s fails here without a mutant: not asked\n' "$judge"
            continue
        fi
        case $result in 0 | 2 | 3) ;; *) tail -30 "$copy/run-$judge.log" >&2 && fail "cargo mutants could not run $judge" ;; esac
        caught=$((caught + $(lines_in "$copy/missed.txt")))
        grep -xFf "$copy/missed.txt" "$results/missed.txt" >"$copy/still.txt" || true
        mv "$copy/still.txt" "$copy/missed.txt"
        caught=$((caught - $(lines_in "$copy/missed.txt")))
    done
    describe "$copy" <"$copy/missed.txt" >"$copy/survivors.txt"
    missed=$(lines_in "$copy/missed.txt")
    explained=0
    : >"$copy/unexplained.txt"
    while IFS= read -r shown; do
        if [ -f "$equivalent" ] && grep -qxF -- "$shown" "$equivalent"; then
            explained=$((explained + 1))
        else
            printf '%s\n' "$shown" >>"$copy/unexplained.txt"
        fi
    done <"$copy/survivors.txt"
    local viable=$((total - unviable)) killed=$((caught + timeout))
    [ "$viable" -gt 0 ] || fail "no mutant of $room was tried"
    local percent=$((100 * killed / viable)) settled=$((100 * (killed + explained) / viable))
    printf '%-13s %5d %6d %7d %9d %6d %11d %7d%% %14d%% %7d s\n' "$room" "$total" "$caught" "$timeout" "$unviable" \
        "$missed" "$explained" "$percent" "$settled" $((SECONDS - began))
    sed 's/^/    missed: /' "$copy/unexplained.txt"
    [ "$settled" -ge "$min" ] || failed=1
}

run_rooms() {
    local room
    cargo mutants --version >/dev/null 2>&1 || fail "there is no cargo-mutants: cargo install cargo-mutants --locked"
    [ ${#shard[@]} -eq 0 ] || printf 'a sample: shard %s\n' "${shard[1]}"
    printf '%-13s %5s %6s %7s %9s %6s %11s %8s %15s\n' room all caught timeout unviable missed 'of those eq.' killed 'with explained'
    failed=0
    for room in "$@"; do
        run_room "$room"
    done
    [ "$failed" -eq 0 ] || fail "a room is under $min %"
}

# ---- hand-written mutants ----

# A copy of what the simulator is built from, with a target folder that stays.
copy_tree() {
    local tree=$1 file
    rm -rf "$tree"
    mkdir -p "$tree"
    # With times kept, so that what did not change is not built again.
    (cd "$top" && git ls-files Cargo.toml Cargo.lock README.md core std-adapter embedded-adapter tests ':!tests/fixtures' |
        tar cf - -T -) | tar xf - -C "$tree"
}

# git apply outside of any repository: inside of one it passes over paths that are not the repository's.
apply() { (cd "$1" && GIT_CEILING_DIRECTORIES=$(dirname "$1") git apply -C1 "${@:2}"); }

# The build that runs mutants: quick to make, and not much slower to run.
build_sim() {
    (cd "$1" && CARGO_TARGET_DIR=$out/hand/target CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_OPT_LEVEL=2 CARGO_PROFILE_RELEASE_INCREMENTAL=true \
        cargo build --quiet --release -p slotwise-tests --bin sim) >"$out/hand/build.log" 2>&1
}

# Runs seeds from $1 on, at most $2, until one fails that does not fail without the mutant; prints how many that took and
# what broke.
seeds_until() {
    local from=$1 end=$(($1 + $2)) at=$1 chunk=5 status text seed
    while [ "$at" -lt "$end" ]; do
        [ $((end - at)) -ge "$chunk" ] || chunk=$((end - at))
        status=0
        # By the time it computes, not by the clock: the machine may have other work. 24 is SIGXCPU.
        text=$(cd "$out/hand" && ulimit -t 30 && exec target/release/sim --from "$at" --seeds "$chunk" --json 2>&1 >/dev/null) || status=$?
        if [ "$status" -eq 152 ] || [ "$status" -eq 137 ]; then
            printf '%s hang\n' $((at + chunk - from))
            return 0
        elif [ "$status" -ne 0 ]; then
            seed=$(sed -n 's/^seed \([0-9]*\): invariant .*/\1/p' <<<"$text" | head -1)
            if [ -z "$seed" ]; then
                printf '%s crash\n' $((at + chunk - from))
                return 0
            elif (cd "$out/hand" && ./sim-clean --from "$seed" --seeds 1 --json >/dev/null 2>&1); then
                printf '%s %s\n' $((seed - from + 1)) "$(sed -n 's/^seed [0-9]*: invariant \(I[0-9]*\) .*/\1/p' <<<"$text" | head -1)"
                return 0
            fi
            at=$((seed + 1))
            continue
        fi
        at=$((at + chunk))
        [ "$chunk" -ge 160 ] || chunk=$((chunk * 2))
    done
    return 1
}

# The room's own tests, over a copy with that room and those below it.
unit_tests_catch() {
    local tree=$1 patch=$2 room
    if grep -q '^+++ b/std-adapter/' "$patch"; then
        ! (cd "$tree" && CARGO_TARGET_DIR=$out/hand/std timeout 900 cargo test --quiet -p slotwise-std --lib --test options) >"$out/hand/unit.log" 2>&1
        return
    fi
    room=$(sed -n 's|^+++ b/core/src/\([a-z_]*\).*|\1|p' "$patch" | head -1)
    case $room in
    addr) room=server_error ;;
    esac
    copy_room "$room" "$out/hand/room-$room" "$tree"
    # What the rooms have in common is built once.
    local target=$out/hand/rooms
    (cd "$out/hand/room-$room" && CARGO_TARGET_DIR=$target cargo test --quiet --lib --no-run) >"$out/hand/unit.log" 2>&1 ||
        fail "the tests of $room do not build: see $out/hand/unit.log"
    ! (cd "$out/hand/room-$room" && ulimit -t 150 && CARGO_TARGET_DIR=$target timeout 900 cargo test --quiet --lib "$room::") >"$out/hand/unit.log" 2>&1
}

# A row of the table, in place of the one that the mutant had; and the sums anew.
note_result() {
    local rows=$out/hand/rows.txt all by_sim soon
    if [ -f "$results" ]; then grep '^| [a-z]' "$results" | grep -v '^| area ' >"$rows" || true; else : >"$rows"; fi
    {
        grep -vF "| $1 | $2 |" "$rows" || true
        printf '| %s | %s | %s | %s | %s | %s |\n' "$1" "$2" "$3" "$4" "$5" "$seeds"
    } | while IFS= read -r row; do
        # Not of a patch that is no more.
        name=$(cut -d '|' -f 2,3 <<<"$row" | tr -d ' ' | tr '|' '-')
        [ ! -f "$here/$name.patch" ] || printf '%s\n' "$row"
    done | LC_ALL=C sort >"$rows.new"
    mv "$rows.new" "$rows"
    all=$(lines_in "$rows")
    by_sim=$(grep -c '| simulator ' "$rows" || true)
    soon=$(awk -F '|' '$4 ~ /simulator/ && $5 + 0 <= 500' "$rows" | wc -l)
    {
        printf '# What catches the hand-written mutants\n\nWritten by `tests/mutants.sh hand --results`; a row is as old as the last run of its mutant.\n\n'
        printf 'Of %d mutants the simulator catches %d, %d of them within 500 seeds (median), the unit tests of their room alone %d, nothing %d.\n' \
            "$all" "$by_sim" "$soon" "$(grep -c '| unit tests ' "$rows" || true)" "$(grep -c '| nothing ' "$rows" || true)"
        printf 'The simulator alone was asked, and missed, %d (`not asked`); %d were not run for this table.\n\n' \
            "$(grep -c '| not asked ' "$rows" || true)" "$(($(ls "$here"/*.patch | wc -l) - all))"
        printf 'The simulator runs three times from different seeds, until a promise is broken that holds without the mutant. `-`: not\n'
        printf 'within the seeds of the last column, and the unit tests of the room are asked.\n\n'
        printf '| area | mutant | caught by | seeds, median | each run | at most |\n| --- | --- | --- | --: | --- | --: |\n'
        cat "$rows"
    } >"$results"
}

run_hand() {
    local name patch area tree=$out/hand/tree run found counts broke median caught=0 total=0 started
    mkdir -p "$out/hand"
    copy_tree "$tree"
    if [ "$only" != units ]; then
        # What a run before has left there may be of a mutant, and newer than the files.
        touch "$tree/core/src/lib.rs"
        build_sim "$tree" || { tail -20 "$out/hand/build.log" >&2 && fail "the simulator does not build"; }
        # The judge of the judge.
        cp "$out/hand/target/release/sim" "$out/hand/sim-clean"
    fi
    printf '%-12s %-34s %-14s %8s   %s\n' area mutant 'caught by' 'seeds' 'each run'
    for name in "$@"; do
        # The copy's own: others may be edited meanwhile.
        patch=$tree/tests/mutants/$name.patch
        [ -f "$patch" ] || fail "there is no mutant $name"
        total=$((total + 1))
        area=${name%%-*}
        name=${name#*-}
        apply "$tree" "$patch" || fail "$(basename "$patch") does not apply"
        started=$SECONDS
        counts=()
        broke=
        if [ "$only" = units ]; then
            counts=(-)
            ! unit_tests_catch "$tree" "$patch" || broke="unit tests"
        elif build_sim "$tree"; then
            for run in $(seq 0 $((runs - 1))); do
                if found=$(seeds_until $((1 + run * 100000)) "$seeds"); then
                    counts+=("${found%% *}")
                    broke=${broke:-simulator ${found#* }}
                else
                    counts+=(-)
                    # What one run does not find in so many seeds, is left to the other judges.
                    [ ${#counts[@]} -gt 1 ] || break
                fi
            done
            if [ -z "$broke" ] && [ "$only" != sim ] && unit_tests_catch "$tree" "$patch"; then
                broke="unit tests"
            fi
        else
            tail -20 "$out/hand/build.log" >&2
            apply "$tree" -R "$patch"
            fail "$area-$name does not build"
        fi
        # Not caught by a part of the judges: the others were not asked.
        [ -n "$broke" ] || [ -z "$only" ] || broke="not asked"
        case $broke in '' | 'not asked') ;; *) caught=$((caught + 1)) ;; esac
        median=$(printf '%s\n' "${counts[@]}" | sed 's/^-$/999999999/' | sort -n | sed -n "$(((${#counts[@]} + 1) / 2))p" | sed 's/^999999999$/-/')
        printf '%-12s %-34s %-14s %8s   %s (%s s)\n' "$area" "$name" "${broke:-NOTHING}" "$median" "${counts[*]}" $((SECONDS - started))
        [ "$record" -eq 0 ] || note_result "$area" "$name" "${broke:-nothing}" "$median" "${counts[*]}"
        apply "$tree" -R "$patch"
    done
    printf '%d mutants, %d caught\n' "$total" "$caught"
    [ "$caught" -eq "$total" ] || fail "$((total - caught)) mutants are caught by nothing"
}

# ---- whether all of it still fits the code ----

check() {
    local patch line stale=0 file code
    for patch in "$here"/*.patch; do
        if ! (cd "$top" && git apply -C1 --check "$patch") 2>/dev/null; then
            printf 'stale: %s does not apply\n' "$(basename "$patch")" >&2
            stale=1
        fi
    done
    while IFS= read -r line; do
        case $line in '' | '#'*) continue ;; esac
        file=core/${line%% | *}
        code=${line##* | }
        if ! grep -qF -- "$code" "$top/$file"; then
            printf 'stale: not in %s: %s\n' "$file" "$code" >&2
            stale=1
        fi
    done <"$equivalent"
    [ "$stale" -eq 0 ] || fail "make the patch anew, or drop the line"
    printf 'mutants: %d patches apply\n' "$(ls "$here"/*.patch | wc -l)"
}

# ---- the command line ----

min=90
seeds=300
runs=3
record=0
only=
shard=()
mode=rooms
names=()
while [ $# -gt 0 ]; do
    case $1 in
    --min) min=$2 && shift ;;
    --seeds) seeds=$2 && shift ;;
    --runs) runs=$2 && shift ;;
    --shard) shard=(--shard "$2" --sharding round-robin) && shift ;;
    hand | --hand) mode=hand ;;
    --only) only=$2 && shift ;;
    --results) record=1 ;;
    --check) mode=check ;;
    -*) usage ;;
    *) names+=("$1") ;;
    esac
    shift
done
case $mode in
check) check ;;
hand)
    if [ ${#names[@]} -eq 0 ]; then
        mapfile -t names < <(cd "$here" && ls -- *.patch | sed 's/\.patch$//')
    fi
    run_hand "${names[@]}"
    ;;
rooms)
    [ ${#names[@]} -gt 0 ] || usage
    run_rooms "${names[@]}"
    ;;
esac
