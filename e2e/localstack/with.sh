#!/usr/bin/env bash
# Runs a command while a LocalStack of its own is up, whose address it finds in ENDPOINT.
#
#   e2e/localstack/with.sh COMMAND [ARG…]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$(mktemp -d)
trap '"$here/stop.sh" "$dir"; rm -rf "$dir"' EXIT

ENDPOINT=$("$here/start.sh" --dir "$dir" | sed -n 's/^ENDPOINT=//p')
export ENDPOINT
"$@"
