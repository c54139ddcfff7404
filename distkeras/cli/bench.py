"""`distkeras bench comm`: how fast the ranks of a cluster communicate, and the settings that suit them."""

from __future__ import annotations

import argparse
import os
import sys

from distkeras import _settings
from distkeras.cli import run
from distkeras.distribute import launcher

_START = ("ranks", "hostfile", "hosts", "mpirun", "mpirun_args")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `bench` to the command line."""
    parser = commands.add_parser("bench", help="measure the cluster and choose settings")
    subjects = parser.add_subparsers(metavar="SUBJECT", required=True)
    comm = subjects.add_parser(
        "comm",
        help="communication between ranks",
        description="Start ranks as `distkeras run` does, measure allreduce, allgather and broadcast by size, between "
        "all ranks, those of a node and those between nodes, and sums in shared memory; fit latency and bandwidth, and "
        "choose bucket_cap_mb and shared_arenas. With --save they become settings of `distkeras run`.",
    )
    run.add_settings(comm, _START)
    comm.add_argument("--largest-mb", metavar="MB", default=16.0, help="the largest message, 16 by default")
    comm.add_argument("--seconds", metavar="S", default=0.25, help="how long to measure each size, 0.25 by default")
    comm.add_argument(
        "--save",
        metavar="FILE",
        nargs="?",
        const=_settings.DEFAULT_FILE,
        help=f"write what was chosen into a YAML file of settings; {_settings.DEFAULT_FILE} if none is named",
    )
    comm.add_argument("--config", metavar="FILE", help="YAML file of settings to start the ranks with")
    comm.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Check what was asked for, and measure."""
    flags = {name: getattr(options, name) for name in _START}
    settings = _settings.resolve(flags, file=options.config)
    if settings.ranks < 2:
        raise ValueError(f"bench comm measures between ranks: expected 2 or more, received -n {settings.ranks}.")
    numbers = [_positive(name, getattr(options, name)) for name in ("largest_mb", "seconds")]
    if options.save:
        check_place(options.save)
    program = ["-m", "distkeras.cli._communication", *map(str, numbers), options.save or ""]
    return run.start(launcher.plan(program, settings), settings)


def _positive(name: str, value: object) -> float:
    try:
        return _settings.positive_number(value)
    except ValueError as error:
        raise ValueError(f"--{name.replace('_', '-')} = {value!r}: {error}") from error


def check_place(path: str) -> None:
    """Raise unless settings can be written to `path`, beside those that are there."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"--save {path}: there is no folder {folder}")
    if not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise PermissionError(f"--save {path}: it cannot be written")
    if os.path.exists(path):
        _settings.resolve(None, {}, path)


def save(path: str, name: str, value: object, comment: str) -> None:
    """Set one setting in a YAML file, which is made if need be; all other lines stay as they are."""
    lines = []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    line = f"{name}: {value}  # {comment}"
    places = [index for index, text in enumerate(lines) if text.startswith(f"{name}:")]
    if places:
        lines[places[0]] = line
    else:
        lines.append(line)
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    os.replace(temporary, path)
    print(f"{name}: {value} is now a setting in {path}", file=sys.stdout, flush=True)
