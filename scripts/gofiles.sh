#!/usr/bin/env bash
# Prints the Go files of the tree, without build output and data folders.
set -euo pipefail
find . \( -name .git -o -path ./bin -o -name tranzit-data \) -prune -o -name '*.go' -type f -print
