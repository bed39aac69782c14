#!/usr/bin/env bash
# Runs every fuzz target of the tree for a while each, two targets a core:
# fuzz.sh 30s
set -euo pipefail
duration=${1:-30s}

# Go's own fuzzing may end a run in which no input failed with "context deadline
# exceeded" alone (golang/go#75804): the time was used, nothing was found.
ended_by_the_clock() {
  grep -q '^--- FAIL: Fuzz' "$1" &&
    [ "$(sed -n '/^--- FAIL: Fuzz/,$p' "$1" | sed -n '2p')" = "    context deadline exceeded" ] &&
    ! grep -qE 'Failing input written|panic:|^ +--- FAIL|fuzzing process' "$1"
}

fuzz() {
  local log
  log=$(mktemp)
  if go test -run '^$' -fuzz "^$3\$" -fuzztime "$1" -fuzzminimizetime 20x -parallel 1 "$2" >"$log" 2>&1 ||
    ended_by_the_clock "$log"; then
    echo "fuzz: $2 $3: $(grep -E '^fuzz: elapsed' "$log" | tail -n 1 | sed -E 's/^fuzz: elapsed: ([^,]*), execs: ([0-9]*).*/\2 inputs in \1/')"
  else
    cat "$log"
    echo "fuzz: $2 $3 failed"
    exit 1
  fi
  rm -f "$log"
}
export -f fuzz ended_by_the_clock

grep -rnE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*\(' . |
  sed -E 's/^(.*)\/[^/]*:[0-9]+:func (Fuzz[A-Za-z0-9_]*)\(.*/\1 \2/' | sort -u |
  xargs -P "$((2 * $(nproc)))" -L 1 bash -euo pipefail -c 'fuzz "$@"' fuzz "$duration"
