#!/usr/bin/env bash
# Installs what the tests need into a virtual environment, checks the style and runs all tests, those on several ranks
# included. Nothing else has to be installed.
# Usage: launch/test.sh [arguments of pytest]          DISTKERAS_VENV=folder chooses the environment (.venv-test)
set -euo pipefail
cd "$(dirname "$0")/.."

venv="${DISTKERAS_VENV:-.venv-test}"
[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --editable '.[mpi,test,examples]'

"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .

# In as many processes as there are cores; then, by themselves, the tests that start processes of their own.
run() { "$venv/bin/python" -m pytest "$@" || [ $? -eq 5 ]; }  # 5: no test was chosen
run -m "not alone" --numprocesses auto --maxprocesses 8 "$@"
run -m alone "$@"
