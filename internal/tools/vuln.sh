#!/usr/bin/env bash
# Known vulnerabilities in what lbctl calls. Finding one fails; a machine that
# cannot reach the vulnerability database is told so, since nothing was checked.
set -uo pipefail
cd "$(dirname "$0")/../.."
out=$(go tool -modfile=internal/tools/go.mod govulncheck ./... 2>&1)
status=$?
if [ $status -ne 0 ] && grep -q 'fetching vulnerabilities' <<<"$out"; then
  echo "govulncheck: not checked, the vulnerability database cannot be reached from here"
  exit 0
fi
echo "$out"
exit $status
