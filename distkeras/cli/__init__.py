"""The `distkeras` command: `run`, `slurm`, `sweep`, `bench`, `doctor` and `warmup`, one file each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from distkeras._errors import DistkerasError
from distkeras.cli import bench, doctor, run, slurm, sweep, warmup


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Without the program's name; `sys.argv[1:]` by default.

    Returns:
        The exit code: that of the program for `run`, 1 for something broken, 2 for a wrong command line.
    """
    description = "Train Keras models on CPU clusters."
    parser = argparse.ArgumentParser("distkeras", description=description, epilog="See distkeras COMMAND --help.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (run, slurm, sweep, bench, doctor, warmup):
        command.add_parser(commands)
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(run.mark_end(arguments, ("run", "slurm")))
    try:
        return options.execute(options)
    except (DistkerasError, ValueError, OSError) as error:
        print(f"distkeras: {error}", file=sys.stderr)
        return 2
