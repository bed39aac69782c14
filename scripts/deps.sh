#!/usr/bin/env bash
# Installs what `make test` needs beyond Go: a C compiler and the C library's
# headers, which the race detector links with. Does nothing when they are there.
set -euo pipefail

have_compiler() {
  local cc out
  cc=${CC:-gcc}
  command -v "$cc" >/dev/null 2>&1 || return 1
  out=$(mktemp)
  trap 'rm -f "$out"' RETURN
  echo '#include <stdlib.h>
int main(void) { return 0; }' | "$cc" -x c -o "$out" - >/dev/null 2>&1
}

if have_compiler; then
  exit 0
fi

if ! command -v apt-get >/dev/null 2>&1; then
  echo "deps: the race detector needs a C compiler; install gcc and the C library headers with this system's package tool, then run make test again" >&2
  exit 1
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! sudo -n true >/dev/null 2>&1; then
    echo "deps: the race detector needs a C compiler; run as root: apt-get install -y gcc libc6-dev" >&2
    exit 1
  fi
  as_root=(sudo -n)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends gcc libc6-dev </dev/null >"$log" 2>&1
}
echo "deps: installing gcc and libc6-dev for the race detector" >&2
if ! install; then
  "${as_root[@]}" apt-get update </dev/null >"$log" 2>&1 || true
  if ! install; then
    tail -n 20 "$log" >&2
    echo "deps: apt-get could not install gcc and libc6-dev" >&2
    exit 1
  fi
fi
if ! have_compiler; then
  echo "deps: gcc is installed and still does not compile a C program" >&2
  exit 1
fi
