#!/usr/bin/env bash
# Runs every fuzz target but those of the simulator, or the named ones, starting from the committed corpus.
#
# usage: tests/fuzz.sh SECONDS [TARGET...]
#
# As many targets at a time as there are processors, each for SECONDS. What the fuzzer finds on its way goes to
# fuzz/target/corpus and is used again by the next run; an input that breaks a property stays in fuzz/artifacts. The
# compiler may be a stable one. SLOTWISE_FUZZ_FEATURES=streamed fuzzes with that feature of the fuzz crate.
#
# The targets sim_... are whole runs of the simulator, some dozens a second. They are built with the feature sim and without
# a sanitizer (the core has no unsafe code), in a folder of their own. Their committed corpus is the beginning of some seeds:
# cargo run --release -p slotwise-tests --bin sim -- --small [--hostile] --seeds 16 --save fuzz/corpus/sim_tape
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top/fuzz"
export RUSTC_BOOTSTRAP=1
features=(${SLOTWISE_FUZZ_FEATURES:+--features "$SLOTWISE_FUZZ_FEATURES"})

seconds=${1:-}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || {
    sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}
shift

# How a target is built, word by word.
how() {
    case $1 in
    sim_*) echo --features sim --sanitizer none --target-dir target/plain ;;
    *) echo "${features[@]}" ;;
    esac
}

targets=$(cargo fuzz list)
[ -n "$targets" ] || {
    echo "fuzz: cargo fuzz lists no target" >&2
    exit 1
}
for wanted in "$@"; do
    grep -qx -- "$wanted" <<<"$targets" || {
        echo "fuzz: there is no target $wanted; there are:" $targets >&2
        exit 2
    }
done
# Runs of the simulator are fuzzed only by name: it still finds broken promises, some in ten thousand seeds.
if [ $# -eq 0 ]; then targets=$(grep -v '^sim_' <<<"$targets"); else targets=$(printf '%s\n' "$@"); fi

for target in $targets; do
    [ -n "$(ls -A "corpus/$target" 2>/dev/null)" ] || {
        echo "fuzz: $target has no committed corpus in fuzz/corpus/$target" >&2
        exit 1
    }
done

# One after the other, or the runs below would wait for each other's builds.
for target in $targets; do
    # shellcheck disable=SC2046 # one word for each option
    cargo fuzz build $(how "$target") "$target"
done

logs=target/logs
mkdir -p "$logs"

# One target for its time; prints one line, or the end of its log.
fuzz_one() {
    local target=$1 log=$logs/$1.log runs
    mkdir -p "target/corpus/$target"
    # shellcheck disable=SC2046 # one word for each option
    if ! cargo fuzz run $(how "$target") "$target" "target/corpus/$target" "corpus/$target" -- \
        -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=60 -print_final_stats=1 >"$log" 2>&1; then
        echo "FOUND by $target:"
        tail -60 "$log"
        return 1
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    [ "${runs:-0}" -gt 0 ] || {
        echo "$target executed nothing:"
        tail -20 "$log"
        return 1
    }
    echo "$target: $runs inputs, nothing found"
}

cores=$(nproc 2>/dev/null || echo 1)
failed=0
running=0
for target in $targets; do
    if [ "$running" -ge "$cores" ]; then
        wait -n || failed=$((failed + 1))
        running=$((running - 1))
    fi
    fuzz_one "$target" &
    running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
    wait -n || failed=$((failed + 1))
    running=$((running - 1))
done
count=$(wc -w <<<"$targets")
echo "fuzz: $count targets, $seconds s each, $failed with a finding"
[ "$failed" -eq 0 ]
