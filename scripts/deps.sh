#!/usr/bin/env bash
# Installs what `make test` needs beyond Go: a C compiler and the C library's
# headers, which the race detector links with, SoftHSM, the PKCS#11 module of the
# key store's tests, strace, by which tests make system calls fail, and Chromium and
# axe-core, by which the pages are tested, tshark, which runs the dissectors, and
# curl, by which the commands of the docs are run. Does nothing when they are there.
# Without strace, tshark or curl those tests say that they are skipped.
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

have_tshark() { [ "$(uname -s)" != Linux ] || command -v tshark >/dev/null 2>&1; }

have_curl() { command -v curl >/dev/null 2>&1; }

have_softhsm() { [ "$(uname -s)" != Linux ] || command -v softhsm2-util >/dev/null 2>&1; }

have_chromium() { [ "$(uname -s)" != Linux ] || command -v chromium >/dev/null 2>&1; }

# The accessibility checker: one file of one release, known by its digest.
axe_release=4.14.1
axe_digest=29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c
axe_file="$(dirname "${BASH_SOURCE[0]}")/../bin/axe/axe.min.js"
have_axe() { [ -f "$axe_file" ] && echo "$axe_digest  $axe_file" | sha256sum --check --status; }

if have_compiler && have_strace && have_tshark && have_curl && have_softhsm && have_chromium && have_axe; then
  exit 0
fi

# fetch_axe takes the one file out of the package as npm fetches it.
fetch_axe() (
  mkdir -p "$(dirname "$axe_file")"
  axe_file="$(cd "$(dirname "$axe_file")" && pwd)/axe.min.js"
  cd "$(mktemp -d)"
  trap 'rm -rf "$PWD"' EXIT
  npm pack --silent "axe-core@$axe_release" >/dev/null
  tar -xzf axe-core-*.tgz package/axe.min.js
  mv package/axe.min.js "$axe_file"
  have_axe
)

# without_strace ends well: only some tests of faults are lost.
without_strace() {
  echo "deps: strace is missing and $1; the tests that make system calls fail will be skipped" >&2
  exit 0
}

if ! command -v apt-get >/dev/null 2>&1; then
  if have_compiler && have_softhsm && have_chromium && have_axe; then without_strace "there is no apt-get here"; fi
  echo "deps: the tests need a C compiler, SoftHSM, Chromium and npm; install gcc, the C library headers, softhsm2, chromium and npm with this system's package tool, then run make test again" >&2
  exit 1
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! sudo -n true >/dev/null 2>&1; then
    if have_compiler && have_softhsm && have_chromium && have_axe; then without_strace "this user may not install it"; fi
    echo "deps: the tests need a C compiler, SoftHSM, Chromium and npm; run as root: apt-get install -y gcc libc6-dev softhsm2 chromium npm" >&2
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
if ! have_chromium && ! install_or_update chromium fonts-dejavu-core; then
  tail -n 20 "$log" >&2
  echo "deps: apt-get could not install chromium" >&2
  exit 1
fi
if ! have_axe; then
  if ! command -v npm >/dev/null 2>&1 && ! install_or_update npm; then
    tail -n 20 "$log" >&2
    echo "deps: apt-get could not install npm, which fetches axe-core" >&2
    exit 1
  fi
  if ! fetch_axe; then
    echo "deps: npm could not fetch axe-core $axe_release, or it is another file than it was" >&2
    exit 1
  fi
fi
if ! have_tshark && ! install_or_update tshark; then
  tail -n 5 "$log" >&2
  echo "deps: apt-get could not install tshark; the test of the dissectors in it will be skipped" >&2
fi
if ! have_curl && ! install_or_update curl ca-certificates; then
  tail -n 5 "$log" >&2
  echo "deps: apt-get could not install curl; the tests of the docs' commands will be skipped" >&2
fi
if ! have_strace && ! install_or_update strace; then
  tail -n 5 "$log" >&2
  without_strace "apt-get could not install it"
fi
