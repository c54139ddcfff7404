#!/usr/bin/env bash
# Runs a script as several ranks on this machine.
# Usage: launch/local.sh RANKS train.py [arguments]
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: $0 RANKS train.py [arguments]" >&2; exit 2; }
ranks="$1"
shift
exec distkeras run -n "$ranks" "$@"
