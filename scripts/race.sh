#!/usr/bin/env bash
# Runs a go test command, and what failed in it once more by itself:
# race.sh go test ARGUMENTS
# A test that passes then depends on what else the machine does. It is named at
# the end, as a defect to mend. Data races, panics, packages that do not build and
# more than three tests are not asked again.
set -euo pipefail

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if "$@" 2>&1 | tee "$log"; then exit 0; fi

failed=$(awk '/^--- FAIL: /{ tests = tests (tests == "" ? "" : "|") $3; n++ }
  /^ok /{ tests = "" }
  /^FAIL\t/{ print $2, (tests == "" ? "-" : tests); tests = "" }
  END { if (n > 3) print "- -" }' "$log")
if [ -z "$failed" ] || grep -qE ' -$' <<<"$failed" || grep -qE 'DATA RACE|^panic:|^fatal error:' "$log"; then exit 1; fi

while read -r package tests; do
  echo "race: once more: $package $tests"
  go test -count 1 -timeout 20m -run "^($tests)\$" "$package" </dev/null
  echo "race: FLAKY, to be mended: $package $tests"
done <<<"$failed"
