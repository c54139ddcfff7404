"""`distkeras sweep sweep.yaml`: the combinations of settings that the tasks of a job array run with."""

from __future__ import annotations

import argparse
import itertools
import os
import shlex
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `sweep` to the command line."""
    parser = commands.add_parser(
        "sweep",
        help="show the combinations of settings in a file",
        description="Print the arguments for each combination of the lists in a YAML file: a line for each, or one.",
    )
    parser.add_argument("file", metavar="SWEEP.yaml", help="name: [value, ...] lines")
    parser.add_argument("--index", type=int, metavar="I", help="only the I-th, counted from 0")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Print them, quoted for a shell."""
    combinations = read_sweep(options.file)
    if options.index is not None:
        if not 0 <= options.index < len(combinations):
            raise ValueError(
                f"{options.file} has {len(combinations)} combinations, 0 to {len(combinations) - 1}; received --index "
                f"{options.index}: submit with --array=0-{len(combinations) - 1}"
            )
        combinations = [combinations[options.index]]
    print("\n".join(map(shlex.join, combinations)))
    return 0


def read_sweep(path: str | os.PathLike[str]) -> list[list[str]]:
    """The arguments of every combination; the last name of the file changes fastest.

    Args:
        path: A YAML file, `learning_rate: [0.1, 0.01]` becoming `--learning-rate 0.1` and `--learning-rate 0.01`. A
            value alone stands for a list of one.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds something else.
    """
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not a YAML file: {error}") from error
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path} must hold `name: [value, ...]` lines, received {type(content).__name__}")
    choices = []
    for name, values in content.items():
        values = values if isinstance(values, list) else [values]
        plain = all(isinstance(value, (str, int, float)) and not isinstance(value, bool) for value in values)
        if not isinstance(name, str) or not values or not plain:
            raise ValueError(f"{path}: {name}: expected a list of numbers or texts, received {values!r}")
        choices.append([["--" + name.replace("_", "-"), str(value)] for value in values])
    return [list(itertools.chain(*chosen)) for chosen in itertools.product(*choices)]
