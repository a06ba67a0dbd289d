#!/usr/bin/env bash
# Runs every fuzzer of the module for so long (Go's notation, 60s), one after another,
# or those whose names match a pattern. What breaks one is kept by go test in its
# package's testdata/fuzz, and replayed by every `make test` from then on.
set -uo pipefail
time=${1:-60s} pattern=${2:-.}
cd "$(dirname "$0")/../.."
failed=()
while IFS=: read -r file name; do
	printf '%s %s\n' "$(dirname "$file")" "$name"
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "./$(dirname "$file")" </dev/null || failed+=("$(dirname "$file") $name")
done < <(git grep -n '^func Fuzz' -- '*_test.go' | sed -E 's/^([^:]+):[0-9]+:func (Fuzz[A-Za-z0-9_]*)\(.*/\1:\2/' | grep -E -- "$pattern")
if [ ${#failed[@]} -gt 0 ]; then
	printf 'failed: %s\n' "${failed[@]}"
	exit 1
fi
