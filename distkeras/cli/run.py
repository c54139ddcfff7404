"""`distkeras run -n 4 train.py ...`: start a program as several ranks, or as one."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterable, Sequence

from distkeras import _settings
from distkeras.distribute import launcher, supervisor

END = "\0"
_SHORT = {"ranks": ["-n"], "hosts": ["-H"], "watchdog_seconds": ["--watchdog"]}


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `run` to the command line. Every setting is a flag of it."""
    parser = commands.add_parser(
        "run",
        help="run a script as several ranks",
        description="Run a Python program as N ranks, on this machine, on the hosts of a hostfile or in a Slurm job. "
        "Every flag can also be set by a DISTKERAS_* variable or in distkeras.yaml; the flag comes first.",
        usage="distkeras run [-n N] [flags] train.py [arguments]\n"
        "       distkeras run [-n N] [flags] -m module [arguments]",
    )
    add_settings(parser, _settings.SETTINGS)
    parser.add_argument("--config", metavar="FILE", help="YAML file of settings instead of ./distkeras.yaml")
    parser.add_argument("--print-config", action="store_true", help="show each setting and its source, and stop")
    parser.add_argument("--dry-run", action="store_true", help="show the command that would be run, and stop")
    parser.add_argument("-m", dest="as_module", action="store_true", help="the program is a module's name")
    parser.add_argument("program", metavar="train.py", help="the program, followed by its arguments")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    parser.set_defaults(execute=execute, usage_error=parser.error)


def add_settings(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """Add the flags of some settings to a command."""
    for name in names:
        setting = _settings.SETTINGS[name]
        flags = [*_SHORT.get(name, ()), "--" + name.replace("_", "-")]
        if setting.parse is _settings.switch:
            parser.add_argument(*flags, dest=name, action=argparse.BooleanOptionalAction, help=setting.help)
        else:
            parser.add_argument(*flags, dest=name, metavar=setting.metavar, help=setting.help)


def mark_end(arguments: list[str], commands: Sequence[str]) -> list[str]:
    """Append a mark, where a program is expected.

    With it argparse finds a program where none is given, and leaves the program's own flags alone.
    An optional positional would be taken as absent as soon as a flag stands before it.
    """
    asks_for_help = any(word in ("-h", "--help") for word in arguments[1:2])
    return [*arguments, END] if arguments and arguments[0] in commands and not asks_for_help else arguments


def execute(options: argparse.Namespace) -> int:
    """Do what `distkeras run` was asked to."""
    flags = {name: getattr(options, name) for name in _settings.SETTINGS}
    settings = _settings.resolve(flags, file=options.config)
    if options.print_config:
        print(settings.describe())
        return 0
    if options.program == END:
        options.usage_error("no program to run; expected a script, or -m and a module")
    program = (["-m"] if options.as_module else []) + [options.program, *options.arguments[:-1]]
    if not options.as_module and not os.path.exists(options.program):
        raise FileNotFoundError(f"there is no script {options.program!r} in {os.getcwd()}")
    plan = launcher.plan(program, settings)
    if options.dry_run or settings.log_level == "debug":
        _show(plan, sys.stdout if options.dry_run else sys.stderr)
    if options.dry_run:
        return 0
    if settings.elastic and (plan.ranks > 1 or plan.hosts):
        return supervisor.run(program, settings, _shared_folder(plan, settings))
    return start(plan, settings)


def start(plan: launcher.LaunchPlan, settings: _settings.Settings) -> int:
    """Start the ranks, and give the exit code."""
    if plan.ranks == 1 and not plan.hosts:
        # This very process becomes the program: signals, exit code and terminal are its own.
        os.execve(plan.command[0], plan.command, {**os.environ, **plan.variables})
    return launcher.run(plan, _shared_folder(plan, settings))


def _shared_folder(plan: launcher.LaunchPlan, settings: _settings.Settings) -> str | None:
    """Where to put the folder of notes: it must be seen by all hosts. Scripts lie on a shared disk already."""
    return os.getcwd() if plan.hosts or launcher.number_of_hosts(settings, os.environ) > 1 else None


def _show(plan: launcher.LaunchPlan, file) -> None:
    words = [f"{name}={shlex.quote(value)}" for name, value in sorted(plan.variables.items())]
    print(" ".join(words + [shlex.join(plan.command)]), file=file, flush=True)
