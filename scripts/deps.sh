#!/usr/bin/env bash
# Installs what `make test` needs beyond Go: a C compiler and the C library's
# headers, which the race detector links with, SoftHSM, the PKCS#11 module of the
# key store's tests, and strace, by which tests make system calls fail. Does nothing
# when they are there. Without strace those tests say that they are skipped.
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

have_strace() { [ "$(uname -s)" != Linux ] || command -v strace >/dev/null 2>&1; }

have_softhsm() { [ "$(uname -s)" != Linux ] || command -v softhsm2-util >/dev/null 2>&1; }

if have_compiler && have_strace && have_softhsm; then
  exit 0
fi

# without_strace ends well: only some tests of faults are lost.
without_strace() {
  echo "deps: strace is missing and $1; the tests that make system calls fail will be skipped" >&2
  exit 0
}

if ! command -v apt-get >/dev/null 2>&1; then
  if have_compiler && have_softhsm; then without_strace "there is no apt-get here"; fi
  echo "deps: the tests need a C compiler and SoftHSM; install gcc, the C library headers and softhsm2 with this system's package tool, then run make test again" >&2
  exit 1
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! sudo -n true >/dev/null 2>&1; then
    if have_compiler && have_softhsm; then without_strace "this user may not install it"; fi
    echo "deps: the tests need a C compiler and SoftHSM; run as root: apt-get install -y gcc libc6-dev softhsm2" >&2
    exit 1
  fi
  as_root=(sudo -n)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "$@" </dev/null >"$log" 2>&1
}
install_or_update() {
  echo "deps: installing $*" >&2
  install "$@" && return 0
  "${as_root[@]}" apt-get update </dev/null >"$log" 2>&1 || true
  install "$@"
}
if ! have_compiler; then
  if ! install_or_update gcc libc6-dev; then
    tail -n 20 "$log" >&2
    echo "deps: apt-get could not install gcc and libc6-dev" >&2
    exit 1
  fi
  if ! have_compiler; then
    echo "deps: gcc is installed and still does not compile a C program" >&2
    exit 1
  fi
fi
if ! have_softhsm && ! install_or_update softhsm2; then
  tail -n 20 "$log" >&2
  echo "deps: apt-get could not install softhsm2" >&2
  exit 1
fi
if ! have_strace && ! install_or_update strace; then
  tail -n 5 "$log" >&2
  without_strace "apt-get could not install it"
fi
