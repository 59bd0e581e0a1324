#!/usr/bin/env bash
# Makes qemu-system-arm and qemu-system-riscv32 runnable, for the images under tests/firmware.
#
#   tests/qemu.sh [DIR]     (default target/qemu) prints one line per emulator: DIR/bin/NAME, version
#
# What is on the PATH is used. Else, as root, the packages are installed, but only where apt removes nothing for them. Else
# they are unpacked into DIR, with the libraries this machine lacks, and run from there: nothing outside DIR is written and
# no root is needed. Package lists are private as well. Does nothing when the emulators already run.
# Ends with 1, saying why, when they cannot be had.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=${1:-$top/target/qemu}
names=(qemu-system-arm qemu-system-riscv32)
packages=(qemu-system-arm qemu-system-misc)

fail() {
    echo "qemu.sh: $*" >&2
    exit 1
}

# Prints the versions; fails unless every emulator runs.
show() {
    local name version
    for name in "${names[@]}"; do
        [ -x "$dir/bin/$name" ] || return 1
        version=$("$dir/bin/$name" --version 2>/dev/null | head -1) || return 1
        [ -n "$version" ] || return 1
        echo "$dir/bin/$name: $version"
    done
}

# Links to the ones on the PATH; fails unless all are there.
from_path() {
    local name found
    for name in "${names[@]}"; do
        found=$(type -P "$name") || return 1
        ln -sfn "$found" "$dir/bin/$name"
    done
}

if show; then exit 0; fi

mkdir -p "$dir/bin"
dir=$(cd "$dir" && pwd)
if command -v flock >/dev/null; then
    exec 9>"$dir/.lock"
    flock 9
    if show; then exit 0; fi # another process was at it
fi
if from_path && show; then exit 0; fi

for tool in apt-get apt-config dpkg awk; do
    command -v "$tool" >/dev/null || fail "$tool is not here; install ${names[*]} with this system's package manager"
done

work=$dir/work
rm -rf "$work"
mkdir -p "$work"/{lists/partial,cache/archives/partial,debs,tree}
trap 'rm -rf "$work"' EXIT
cat >"$work/apt.conf" <<CONF
Dir::State::lists "$work/lists";
Dir::Cache "$work/cache";
APT::Sandbox::User "root";
Acquire::Retries "3";
Acquire::Languages "none";
CONF
export APT_CONFIG=$work/apt.conf DEBIAN_FRONTEND=noninteractive
log=$work/apt.log

apt-get update -qq >"$log" 2>&1 </dev/null || true # one broken source of several does not matter
install=(install -y --no-install-recommends)

if [ "$(id -u)" -eq 0 ] && apt-get "${install[@]}" --no-remove --simulate "${packages[@]}" >>"$log" 2>&1 </dev/null; then
    apt-get "${install[@]}" --no-remove "${packages[@]}" >>"$log" 2>&1 </dev/null || fail "apt-get: $(tail -3 "$log")"
    hash -r
    if from_path && show; then exit 0; fi
    fail "installed, but not runnable: ${names[*]}"
fi

# What an installation would bring is what this machine lacks. Its C library stays in use: the packages are of its release.
plan=$(apt-get "${install[@]}" --simulate "${packages[@]}" 2>>"$log" </dev/null) || fail "apt-get: $(tail -3 "$log")"
wanted=$(awk '$1 == "Inst" && $2 !~ /^(libc6|libc-bin|qemu-utils)(:|$)/ { print $2 }' <<<"$plan")
[ -n "$wanted" ] || fail "nothing to unpack, and yet ${names[*]} are not on the PATH"
cd "$work/debs"
# shellcheck disable=SC2086 # one word for each package
apt-get download -qq $wanted >>"$log" 2>&1 </dev/null || fail "cannot download: $(tail -3 "$log")"
for deb in *.deb; do dpkg -x "$deb" "$work/tree"; done
cd "$dir"
rm -rf "$dir/tree"
mv "$work/tree" "$dir/tree"

# Every folder with a shared library in it, relative to DIR.
libraries=$(find tree -name '*.so*' -not -path '*/qemu/*' -printf '%h\n' | sort -u | awk '{ printf "%s${here}/%s", s, $0; s = ":" }')
for name in "${names[@]}"; do
    cat >"bin/$name.new" <<WRAPPER
#!/bin/sh
here=\$(dirname "\$(dirname "\$(readlink -f "\$0")")")
LD_LIBRARY_PATH="$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}" exec "\$here/tree/usr/bin/$name" -L "\$here/tree/usr/share/qemu" "\$@"
WRAPPER
    chmod +x "bin/$name.new"
    mv "bin/$name.new" "bin/$name"
done
show || fail "the unpacked emulators do not run: $(bin/${names[0]} --version 2>&1 | tail -1)"
