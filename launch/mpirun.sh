#!/usr/bin/env bash
# Runs a script under mpirun itself, for sites that have their own way of calling it.
# Usage: RANKS=8 [HOSTFILE=hosts] [MPIRUN=mpirun] launch/mpirun.sh train.py [arguments]
# mpirun must belong to the MPI library that mpi4py loads: `distkeras doctor` checks that.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: RANKS=8 [HOSTFILE=hosts] $0 train.py [arguments]" >&2; exit 2; }
exec "${MPIRUN:-mpirun}" -n "${RANKS:?set RANKS to the number of ranks}" ${HOSTFILE:+--hostfile "$HOSTFILE"} \
    --bind-to none python "$@"
