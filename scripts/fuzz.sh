#!/usr/bin/env bash
# Runs every fuzz target of the tree for a while each: fuzz.sh 2s [light]
#
# light leaves out the packages that depend on net/http or the journal's engine:
# building those with the fuzzer's instrumentation takes longer than the tests.
# Their targets still run on their corpus with the ordinary tests.
set -euo pipefail
duration=${1:-2s}
light=${2:-}
heavyweights='^(net/http$|github.com/cockroachdb/pebble/)'

targets=$(grep -rnE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*\(' . | sed -E 's/^(.*)\/[^/]*:[0-9]+:func (Fuzz[A-Za-z0-9_]*)\(.*/\1 \2/' | sort -u || true)
if [ -z "$targets" ]; then
  echo "fuzz: no targets"
  exit 0
fi
heavy=""
for dir in $(cut -d' ' -f1 <<<"$targets" | sort -u); do
  deps=$(go list -test -deps "$dir")
  if [ "$light" = light ] && grep -Eq "$heavyweights" <<<"$deps"; then
    heavy="$heavy $dir "
    echo "fuzz: $dir is left to make fuzz"
  fi
done
while read -r dir name; do
  if [[ "$heavy" == *" $dir "* ]]; then
    continue
  fi
  echo "fuzz: $dir $name for $duration"
  if ! out=$(go test -run '^$' -fuzz "^${name}\$" -fuzztime "$duration" -fuzzminimizetime 20x "$dir" 2>&1); then
    echo "$out"
    exit 1
  fi
  tail -n 1 <<<"$out"
done <<<"$targets"
