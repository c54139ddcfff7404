#!/usr/bin/env bash
# Installs what the tests need into a virtual environment, checks the style and runs all tests, those on several ranks
# included. Nothing else has to be installed.
# Usage: launch/test.sh [--system] [arguments of pytest]      DISTKERAS_VENV=folder chooses the environment (.venv-test)
# --system, as root on Debian: also the tests under a real Slurm and on several hosts, which it installs and starts.
set -euo pipefail
cd "$(dirname "$0")/.."

system=no
if [ "${1:-}" = --system ]; then
    system=yes
    shift
    bash tests/system/install.sh &
    installing=$!
fi

venv="${DISTKERAS_VENV:-.venv-test}"
[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --editable '.[mpi,test,examples]'
[ "$system" = no ] || wait "$installing"

"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .

# Tests start hundreds of programs: what Python has compiled is kept, outside of the sources.
unset PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX="$PWD/$venv/bytecode"
case "$venv" in /*) PYTHONPYCACHEPREFIX="$venv/bytecode" ;; esac

DISTKERAS_FAULT_TABLE="$(mktemp)"
export DISTKERAS_FAULT_TABLE
trap '"$venv/bin/python" tests/fault_table.py "$DISTKERAS_FAULT_TABLE"; rm -f "$DISTKERAS_FAULT_TABLE"' EXIT

# In as many processes as there are cores; then, by themselves, the tests that look at the clock.
run() { "$venv/bin/python" -m pytest "$@" || [ $? -eq 5 ]; }  # 5: no test was chosen
run -m "not alone and not system" --numprocesses auto --maxprocesses 8 --dist worksteal "$@"
run -m alone "$@"
if [ "$system" = yes ]; then
    # File by file at the same time: most of their time passes in waiting.
    DISTKERAS_SYSTEM_TESTS=1 run -m system --numprocesses 2 --dist loadfile "$@"
fi
