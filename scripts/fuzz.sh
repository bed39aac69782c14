#!/usr/bin/env bash
# Runs every fuzz target of the tree for a while each: fuzz.sh 2s
set -euo pipefail
duration=${1:-2s}

targets=$(grep -rnE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*\(' . | sed -E 's/^(.*)\/[^/]*:[0-9]+:func (Fuzz[A-Za-z0-9_]*)\(.*/\1 \2/' | sort -u || true)
if [ -z "$targets" ]; then
  echo "fuzz: no targets"
  exit 0
fi
while read -r dir name; do
  echo "fuzz: $dir $name for $duration"
  if ! out=$(go test -run '^$' -fuzz "^${name}\$" -fuzztime "$duration" "$dir" 2>&1); then
    echo "$out"
    exit 1
  fi
  tail -n 1 <<<"$out"
done <<<"$targets"
