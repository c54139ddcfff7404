#!/usr/bin/env bash
# Makes a virtual environment in .venv, installs distkeras with an MPI library, and trains a small network on two ranks.
# Usage: launch/quickstart.sh [arguments of examples/fashion_mnist.py]
set -euo pipefail
cd "$(dirname "$0")/.."

[ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
.venv/bin/python -m pip install --quiet --editable '.[mpi,examples]'
.venv/bin/distkeras doctor

[ $# -gt 0 ] || set -- --epochs 1 --samples 4000
exec .venv/bin/distkeras run -n 2 examples/fashion_mnist.py "$@"
