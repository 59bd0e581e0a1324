#!/bin/bash
# Unpacks a newer Valkey and a newer Redis server into target/servers (or DIR) without installing anything.
#
#   tests/servers.sh [DIR]     prints one line per server: wrapper, version
#
# The packages come from the Debian mirror that this machine's own apt sources name, suite sid (or $SLOTWISE_SUITE), with a
# private apt state; nothing outside DIR is written and no root is needed. The servers run through the unpacked loader with
# the unpacked libraries, so the age of the machine does not matter. Does nothing when the wrappers already run.
# Ends with 1, saying why, when they cannot be had; the tests that need them then say that they were skipped.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
dir=${1:-${SLOTWISE_SERVERS:-$top/target/servers}}
suite=${SLOTWISE_SUITE:-sid}
wrappers="valkey9:valkey-server redis8:redis-server"

fail() {
  echo "servers.sh: $*" >&2
  exit 1
}

# Prints the versions; fails unless every wrapper runs.
show() {
  local pair name version
  for pair in $wrappers; do
    name=${pair%%:*}
    [ -x "$dir/$name" ] || return 1
    version=$("$dir/$name" --version 2>/dev/null | head -1) || return 1
    [ -n "$version" ] || return 1
    echo "$dir/$name: $version"
  done
}

# "URI keyring" of the first Debian archive (not the security one) in the apt sources, of either file format.
archive() {
  local list=() deb822=() f
  for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do [ -r "$f" ] && list+=("$f"); done
  for f in /etc/apt/sources.list.d/*.sources; do [ -r "$f" ] && deb822+=("$f"); done
  {
    [ ${#deb822[@]} -eq 0 ] || awk '
      FNR == 1 { flush() }
      function flush() { if (uri != "" && !off) print uri, (key == "" ? "-" : key); uri = ""; key = ""; off = 0 }
      /^[ \t]*$/ { flush(); next }
      /^#/ { next }
      tolower($1) == "uris:" { uri = $2 }
      tolower($1) == "signed-by:" && NF == 2 { key = $2 }
      tolower($1) == "enabled:" && tolower($2) == "no" { off = 1 }
      END { flush() }' "${deb822[@]}"
    [ ${#list[@]} -eq 0 ] || awk '
      $1 == "deb" {
        key = "-"; line = $0
        if (match(line, /signed-by=[^] ]+/)) key = substr(line, RSTART + 10, RLENGTH - 10)
        sub(/^deb[ \t]+(\[[^]]*\][ \t]*)?/, "", line); split(line, word, /[ \t]+/)
        print word[1], key
      }' "${list[@]}"
  } | grep -E '^(https?|file|ftp)://?[^ ]*/debian/? ' | head -1
}

# Downloads a package and, in turn, the libraries it depends on, into the current directory.
declare -A asked=()
fetch() {
  local name=$1 before after deb dependency
  [ -z "${asked[$name]:-}" ] || return 0
  asked[$name]=1
  before=$(ls)
  apt-get download -qq "$name" 2>>../apt.log || return 1
  after=$(ls)
  deb=$(comm -13 <(printf '%s\n' "$before" | sort) <(printf '%s\n' "$after" | sort) | grep '\.deb$' | head -1)
  [ -n "$deb" ] || return 1
  # First alternative of each dependency, libraries only: the rest (user accounts, init scripts) is for an installation.
  for dependency in $(dpkg-deb -f "$deb" Pre-Depends Depends | sed 's/^[A-Za-z-]*: //' | tr ',' '\n' |
    sed 's/|.*//; s/(.*//; s/:[a-z0-9]*//; s/[ \t]//g' | grep -E '^(lib|zlib|lua-)' || true); do
    fetch "$dependency" || echo "servers.sh: no $dependency in $suite, going on without it" >&2
  done
}

if show; then exit 0; fi

for tool in apt-get apt-config dpkg dpkg-deb awk flock; do
  command -v "$tool" >/dev/null || fail "$tool is not here; unpack Valkey 9 and Redis 8 as $dir/{valkey9,redis8} by hand"
done
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
exec 9>"$dir/.lock"
flock 9
if show; then exit 0; fi # another process was at it

found=$(archive) || fail "no Debian archive in this machine's apt sources"
read -r uri key <<<"$found"
[ "$key" != - ] || key=/usr/share/keyrings/debian-archive-keyring.gpg
option="[signed-by=$key] "
[ -r "$key" ] || option=

work=$dir/work
rm -rf "$work"
mkdir -p "$work"/{etc/preferences.d,etc/sources.list.d,lists/partial,cache/archives/partial,debs,tree}
trap 'rm -rf "$work"' EXIT
: >"$work/status"
echo "deb $option$uri $suite main" >"$work/etc/sources.list"
# The machine's ways to reach its mirrors (proxies, time limits) are kept, its hooks are not.
{
  apt-config dump | grep '^Acquire::' || true
  cat <<CONF
Dir::Etc "$work/etc";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "$work/etc/sources.list";
Dir::Etc::sourceparts "$work/etc/sources.list.d";
Dir::State "$work";
Dir::State::lists "$work/lists";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
APT::Sandbox::User "root";
Acquire::Retries "3";
Acquire::Languages "none";
CONF
} >"$work/apt.conf"
export APT_CONFIG=$work/apt.conf

apt-get update -qq >"$work/apt.log" 2>&1 || fail "cannot read the package lists: $(tail -3 "$work/apt.log")"
cd "$work/debs"
for package in valkey-server valkey-tools redis-server redis-tools; do
  fetch "$package" || fail "cannot download $package from $suite: $(tail -3 ../apt.log)"
done
for deb in *.deb; do dpkg -x "$deb" "$work/tree"; done
cd "$dir"
rm -rf "$dir/tree"
mv "$work/tree" "$dir/tree"

loader=
for candidate in "$dir"/tree/usr/lib/*/ld-linux*.so.* "$dir"/tree/lib/*/ld-linux*.so.* "$dir"/tree/usr/lib/*/ld64.so.*; do
  [ ! -x "$candidate" ] || { loader=$candidate && break; }
done
[ -n "$loader" ] || fail "no program loader among the unpacked files"
libraries=$(dirname "${loader#"$dir"/}")
for pair in $wrappers; do
  cat >"$dir/${pair%%:*}.new" <<WRAPPER
#!/bin/sh
here=\$(dirname "\$(readlink -f "\$0")")
exec "\$here/${loader#"$dir"/}" --library-path "\$here/$libraries" "\$here/tree/usr/bin/${pair#*:}" "\$@"
WRAPPER
  chmod +x "$dir/${pair%%:*}.new"
  mv "$dir/${pair%%:*}.new" "$dir/${pair%%:*}"
done
show || fail "the unpacked servers do not run"
