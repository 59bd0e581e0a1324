#!/usr/bin/env bash
# Builds the core for bare-metal, 32-bit and WebAssembly targets with no features and with all of them, each feature
# alone, the embedded adapter with it, and proves by linking that the core needs no allocator and that nothing the
# minimal image reaches can panic.
#
# usage: tests/no-std.sh [--strict]
#
# A target that is not installed is added with rustup; when that fails the target is skipped loudly and counted.
# --strict makes a skipped target a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

strict=no
case "${1:-}" in
'') ;;
--strict) strict=yes ;;
*)
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac

skipped=()
done_count=0

# Installed, or added now.
have_target() {
    local target=$1 installed
    installed=$(rustup target list --installed)
    if grep -qx "$target" <<<"$installed"; then
        return 0
    fi
    echo "adding target $target"
    rustup target add "$target"
}

skip() {
    echo "SKIPPED: $1" >&2
    skipped+=("$1")
}

step() {
    echo "== $*"
    "$@"
    done_count=$((done_count + 1))
}

# The features of the core, read off its manifest so that a new one is not forgotten.
features=$(sed -n '/^\[features\]/,/^\[dependencies\]/s/^\([a-z][a-z0-9-]*\) *=.*/\1/p' core/Cargo.toml | grep -vx default)
[ -n "$features" ] || {
    echo "no features found in core/Cargo.toml" >&2
    exit 1
}

bare_metal=(thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabi riscv32imc-unknown-none-elf)
present=()
for target in "${bare_metal[@]}" wasm32-unknown-unknown; do
    if ! have_target "$target"; then
        skip "$target: cannot be installed"
        continue
    fi
    present+=("$target")
    step cargo build --quiet -p slotwise --no-default-features --target "$target"
    step cargo build --quiet -p slotwise --all-features --target "$target"
    step cargo build --quiet -p slotwise-embedded --target "$target"
    step cargo build --quiet -p slotwise-embedded --all-features --target "$target"
done

# 32 bits of address on a hosted system: whatever holds only for a 64-bit usize shows here.
if have_target i686-unknown-linux-gnu; then
    step cargo check --quiet -p slotwise --no-default-features --target i686-unknown-linux-gnu
    step cargo check --quiet -p slotwise --all-features --target i686-unknown-linux-gnu
else
    skip "i686-unknown-linux-gnu: cannot be installed"
fi

# Features are additive and need nothing of one another: each alone.
if printf '%s\n' "${present[@]}" | grep -qx thumbv7m-none-eabi; then
    for feature in $features; do
        step cargo check --quiet -p slotwise --no-default-features --features "$feature" --target thumbv7m-none-eabi
    done
else
    skip "each feature alone: needs thumbv7m-none-eabi"
fi

# The minimal image: its panic handler calls a function that does not exist, so it links only if nothing can panic.
probe() {
    cargo build --quiet --release --manifest-path tests/firmware/Cargo.toml -p slotwise-images --bin minimal "$@"
}

# A build that must fail with this text in its messages.
must_fail() {
    local text=$1 log
    shift
    if log=$(probe "$@" 2>&1); then
        echo "the control linked ($*): the proof proves nothing" >&2
        return 1
    fi
    if ! grep -q "$text" <<<"$log"; then
        echo "the control failed for another reason than \"$text\":" >&2
        echo "$log" >&2
        return 1
    fi
}

# No allocator among the symbols. `grep` reads the unstripped file's symbol names; it must find one that is there.
no_alloc_symbols() {
    local file=$1
    grep -q slotwise_images "$file" || {
        echo "$file has no symbol names: nothing can be read off it" >&2
        return 1
    }
    if grep -Eq '__rust_alloc|__rg_alloc|__rust_no_alloc_shim' "$file"; then
        echo "$file holds an allocator" >&2
        return 1
    fi
}

for target in "${bare_metal[@]}"; do
    if ! printf '%s\n' "${present[@]}" | grep -qx "$target"; then
        skip "link proof on $target"
        continue
    fi
    step probe --target "$target" --features scan
    step no_alloc_symbols "tests/firmware/target/$target/release/minimal"
done

if printf '%s\n' "${present[@]}" | grep -qx thumbv7m-none-eabi; then
    step must_fail 'no global memory allocator found' --target thumbv7m-none-eabi --features scan,control-alloc
    step must_fail 'slotwise_can_panic' --target thumbv7m-none-eabi --features scan,control-panic
fi

# The memory map in the guide for firmware authors states the sizes that the types have.
if printf '%s\n' "${present[@]}" | grep -qx thumbv7m-none-eabi; then
    step cargo check --quiet --manifest-path tests/firmware/Cargo.toml -p slotwise-sizes --target thumbv7m-none-eabi
else
    skip "the guide's memory map: needs thumbv7m-none-eabi"
fi

# The example of an async executor: embassy, with its network stack.
if printf '%s\n' "${present[@]}" | grep -qx thumbv7em-none-eabi; then
    step cargo build --quiet --release --manifest-path tests/firmware/Cargo.toml -p slotwise-async --target thumbv7em-none-eabi
else
    skip "the async example: needs thumbv7em-none-eabi"
fi

echo "no-std: $done_count steps passed, ${#skipped[@]} skipped"
if [ ${#skipped[@]} -gt 0 ]; then
    printf 'SKIPPED: %s\n' "${skipped[@]}" >&2
    [ "$strict" = no ]
fi
