"""Settings of a run: one table, four places to say them, and where each value came from.

    command-line flag  >  DISTKERAS_* variable  >  YAML file  >  default

The YAML file is the one named by `distkeras run --config` or DISTKERAS_CONFIG, else `./distkeras.yaml` if it exists.
The launcher hands every value that is not a default to the ranks as DISTKERAS_* variables, so all see the same.

>>> settings = resolve({"ranks": 4}, {"DISTKERAS_THREADS": "2"})
>>> settings.ranks, settings.threads, settings.bucket_cap_mb
(4, 2, 4.0)
>>> settings.source("ranks"), settings.source("threads"), settings.source("simd")
('flag', 'DISTKERAS_THREADS', 'default')
"""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE_VARIABLE = "DISTKERAS_CONFIG"
DEFAULT_FILE = "distkeras.yaml"
LOG_LEVELS = ("debug", "info", "warning", "error")


def _positive_integer(value: Any) -> int:
    if isinstance(value, bool) or int(value) != float(value) or int(value) < 1:
        raise ValueError("expected a whole number of 1 or more")
    return int(value)


def _whole_number(value: Any) -> int:
    if isinstance(value, bool) or int(value) != float(value) or int(value) < 0:
        raise ValueError("expected a whole number of 0 or more")
    return int(value)


def positive_number(value: Any) -> float:
    """A number above 0 from a YAML value or a variable's text."""
    if isinstance(value, bool) or not 0 < float(value) < float("inf"):
        raise ValueError("expected a number above 0")
    return float(value)


def _seconds(value: Any) -> float:
    """Seconds, or hours:minutes:seconds, or days-hours:minutes:seconds as Slurm writes them."""
    if not isinstance(value, str) or ":" not in value:
        return positive_number(value)
    days, _, clock = value.rpartition("-")
    parts = [float(part) for part in clock.split(":")]
    if len(parts) > 3:
        raise ValueError("expected seconds, H:M:S or D-H:M:S")
    total = sum(part * 60**place for place, part in enumerate(reversed(parts)))
    return positive_number(total + 86400 * float(days or 0))


def _seconds_or_never(value: Any) -> float:
    """Seconds, 0 for never."""
    if isinstance(value, bool) or not 0 <= float(value) < float("inf"):
        raise ValueError("expected a number of seconds, 0 or more")
    return float(value)


def switch(value: Any) -> bool:
    """True or False from a YAML value or a variable's text."""
    text = str(value).lower()
    if text not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise ValueError("expected 1 or 0, true or false")
    return text in ("1", "true", "yes", "on")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("expected a non-empty text")
    return value


def _words(value: Any) -> tuple[str, ...]:
    return tuple(shlex.split(value)) if isinstance(value, str) else tuple(map(str, value))


def _one_of(*choices: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}")
        return value

    return parse


@dataclass(frozen=True)
class Setting:
    """One row of the table.

    Attributes:
        default: The value when nobody says anything; `None` means chosen at run time.
        parse: Makes the value from a text or a YAML value; raises ValueError saying what it expected.
        metavar: What the value stands for in `--help`.
        help: One line for people.
    """

    default: Any
    parse: Callable[[Any], Any]
    metavar: str
    help: str


SETTINGS: dict[str, Setting] = {
    "ranks": Setting(1, _positive_integer, "N", "number of processes to train with"),
    "threads": Setting(None, _positive_integer, "N", "threads per rank; by default the node's cores shared out"),
    "hostfile": Setting(None, _text, "FILE", "file that names the hosts, as mpirun takes it"),
    "hosts": Setting(None, _text, "H:N,H:N", "the hosts themselves, each with its slots, instead of a hostfile"),
    "mpirun": Setting(None, _text, "PATH", "mpirun to use instead of the one beside python or in PATH"),
    "mpirun_args": Setting((), _words, "ARGS", "further arguments for mpirun, quoted as for a shell"),
    "bucket_cap_mb": Setting(4.0, positive_number, "MB", "gradients are reduced in buckets of at most this size"),
    "shared_arenas": Setting(
        True, switch, "", "the ranks of a node keep one copy of the weights, in memory that they share"
    ),
    "compression": Setting(
        "none", _one_of("none", "float16"), "KIND", "float16: sums of gradients travel with half the bytes, rounded"
    ),
    "cache_dir": Setting(None, _text, "DIR", "folder for compiled kernels; ~/.cache/distkeras by default"),
    "simd": Setting(
        None,
        _one_of("amx", "avx512", "avx2", "neon", "portable"),
        "SET",
        "instructions: amx, avx512, avx2, neon or portable; by default the widest that the CPU has",
    ),
    "time_limit": Setting(None, _seconds, "TIME", "stop training, with its state saved, after seconds or H:M:S"),
    "time_margin": Setting(60.0, _seconds, "TIME", "stop training so long before the end of a Slurm job"),
    "watchdog_seconds": Setting(
        60.0, _seconds_or_never, "S", "a wait for other ranks that is longer is reported, with all stacks; 0 for never"
    ),
    "watchdog_abort": Setting(
        600.0, _seconds_or_never, "S", "a wait for other ranks that is longer ends the job, exit code 124; 0 for never"
    ),
    "debug": Setting(False, switch, "", "compare what the ranks do and hold, and look for NaN; slow"),
    "debug_every": Setting(10, _positive_integer, "N", "with debug: replicas are compared every N steps"),
    "elastic": Setting(
        False, switch, "", "go on without ranks that are lost, and start anew if that cannot be; Open MPI"
    ),
    "elastic_silence": Setting(
        10.0,
        _seconds_or_never,
        "S",
        "with elastic: a rank that is silent for so long is lost; 0 to wait for ever",
    ),
    "elastic_restarts": Setting(
        10, _whole_number, "N", "with elastic: how often the program is started again when ranks are lost together"
    ),
    "elastic_rejoin": Setting(
        False, switch, "", "with elastic: start again with all ranks after the epoch in which some were lost"
    ),
    "deterministic": Setting(False, switch, "", "the same bits for any number of ranks; slower"),
    "micro_shards": Setting(
        16, _positive_integer, "N", "with deterministic: parts of a batch over which sums are taken, at least the ranks"
    ),
    "timeline": Setting(
        None, _text, "FILE", "write what each rank did when, as a Chrome trace, and report who waits for whom"
    ),
    "shard": Setting(
        "slice",
        _one_of("slice", "stride"),
        "HOW",
        "of Sequences: slice gives each rank its rows of every batch, stride whole batches in turn",
    ),
    "log_level": Setting(
        "info", _one_of(*LOG_LEVELS), "LEVEL", "what distkeras writes to stderr: debug, info, warning or error"
    ),
}


class Settings:
    """Values of all settings as attributes, each with its source."""

    def __init__(self, values: Mapping[str, Any], sources: Mapping[str, str]) -> None:
        self._values = dict(values)
        self._sources = dict(sources)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(f"no setting named {name!r}; there are {', '.join(SETTINGS)}") from None

    def replaced(self, **values: Any) -> Settings:
        """The same settings but for some values."""
        return Settings(self._values | values, self._sources | dict.fromkeys(values, "flag"))

    def source(self, name: str) -> str:
        """`"flag"`, the name of the variable, the path of the file, or `"default"`."""
        return self._sources[name]

    def describe(self) -> str:
        """A table of name, value and source, one setting a line."""
        rows = [(name, _show(self._values[name]), self._sources[name]) for name in SETTINGS]
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        return "\n".join(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {source}" for name, value, source in rows)

    def variables(self) -> dict[str, str]:
        """The settings that are not defaults, as environment variables for the ranks."""
        return {
            variable(name): shlex.join(value) if isinstance(value, tuple) else str(value)
            for name, value in self._values.items()
            if self._sources[name] != "default" and value is not None
        }


def variable(name: str) -> str:
    """The environment variable of a setting: `DISTKERAS_BUCKET_CAP_MB` for `bucket_cap_mb`."""
    return "DISTKERAS_" + name.upper()


def resolve(
    flags: Mapping[str, Any] | None = None,
    variables: Mapping[str, str] | None = None,
    file: str | os.PathLike[str] | None = None,
) -> Settings:
    """Take each setting from the first place that names it.

    Args:
        flags: Values from the command line; `None` values count as not given.
        variables: The environment; `os.environ` by default.
        file: A YAML file that must exist. By default the one in DISTKERAS_CONFIG, else `./distkeras.yaml` if there.

    Returns:
        The settings with their sources.

    Raises:
        ValueError: If a value is not what the setting takes, or a name in `flags` or the file is no setting.
        FileNotFoundError: If a file was named and does not exist.
    """
    variables = os.environ if variables is None else variables
    path = file or variables.get(FILE_VARIABLE) or (DEFAULT_FILE if os.path.exists(DEFAULT_FILE) else None)
    given = [(name, value, "flag") for name, value in (flags or {}).items() if value is not None] + [
        (name, variables[variable(name)], variable(name)) for name in SETTINGS if variables.get(variable(name))
    ]
    given += [(name, value, str(path)) for name, value in (_read(path) if path else {}).items()]
    values = {name: setting.default for name, setting in SETTINGS.items()}
    sources = dict.fromkeys(SETTINGS, "default")
    for name, value, source in reversed(given):
        values[name], sources[name] = _parse(name, value, source), source
    return Settings(values, sources)


@functools.cache
def current() -> Settings:
    """The settings of this process, read once, at the first use."""
    return resolve()


def says(level: str) -> bool:
    """Whether distkeras may write a message of this level to stderr."""
    return LOG_LEVELS.index(level) >= LOG_LEVELS.index(current().log_level)


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not a YAML file: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold `name: value` lines, received {type(content).__name__}")
    return {name: value for name, value in content.items() if value is not None}


def _parse(name: str, value: Any, source: str) -> Any:
    if name not in SETTINGS:
        raise ValueError(f"{source} sets {name!r}, which is no setting; there are {', '.join(SETTINGS)}")
    try:
        return SETTINGS[name].parse(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} = {value!r} (from {source}): {error}") from error


def _show(value: Any) -> str:
    if value is None:
        return "auto"
    return shlex.join(value) or "none" if isinstance(value, tuple) else str(value)
