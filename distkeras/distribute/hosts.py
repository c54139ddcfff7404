"""The hosts that a job is to run on, as a hostfile or the command line names them."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from distkeras._settings import Settings

_MAPPING = "PRTE_MCA_rmaps_default_mapping_policy"


def slots_by_host(settings: Settings) -> dict[str, int | None]:
    """Each named host with its slots, None where a hostfile does not tell; empty if no host is named.

    Hostfiles are those of Open MPI (`host slots=4`) and of MPICH (`host:4`).

    Raises:
        ValueError: Hosts are named in both ways, the hostfile names none, or slots are no number.
        OSError: The hostfile cannot be read.

    >>> from distkeras import _settings
    >>> slots_by_host(_settings.resolve({"hosts": "a:2,b,a"}, {}))
    {'a': 3, 'b': 1}
    """
    if settings.hosts and settings.hostfile:
        raise ValueError(f"hosts are named twice, by the hostfile {settings.hostfile} and as {settings.hosts}")
    if not settings.hosts and not settings.hostfile:
        return {}
    found: dict[str, int | None] = {}
    entries = [f"{host}:1" if ":" not in host else host for host in (settings.hosts or "").split(",") if host]
    if settings.hostfile:
        lines = _text_of(settings.hostfile).splitlines()
        entries = [entry for line in lines if (entry := line.partition("#")[0].strip())]
    for entry in entries:
        name = re.split(r"[\s:]", entry)[0]
        given = re.search(r"\bslots\s*=\s*(\S+)", entry) or re.fullmatch(r"[^\s:]+:([^\s:]+)", entry)
        if given and not given[1].isdigit():
            raise ValueError(f"slots of host {name} must be a whole number, received {given[1]!r} in {entry!r}")
        found[name] = (found.get(name) or 0) + int(given[1]) if given else found.get(name)
    if not found:
        raise ValueError(f"the hostfile {settings.hostfile} names no host")
    return found


def _text_of(hostfile: str) -> str:
    try:
        return Path(hostfile).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise OSError(
            f"the hostfile {hostfile} cannot be read: {error}. It is a text with a line `node1 slots=8` for each host; "
            "or name them on the command line: -H node1:8,node2:8"
        ) from error


def arguments(family: str, settings: Settings) -> list[str]:
    """How an mpirun of this family is told the hosts."""
    file, named = {"mpich": ("-f", "-hosts")}.get(family, ("--hostfile", "--host"))
    if settings.hosts:
        return [named, settings.hosts]
    return [file, settings.hostfile] if settings.hostfile else []


def check_slots(settings: Settings, slots: Mapping[str, int | None], variables: Mapping[str, str]) -> None:
    """Raise ValueError if Open MPI would refuse to place so many ranks on these hosts."""
    allowed = "oversubscribe" in " ".join([*settings.mpirun_args, variables.get(_MAPPING, "")]).lower()
    if not slots or allowed or None in slots.values() or settings.ranks <= sum(slots.values()):
        return
    held = ", ".join(f"{name}: {count}" for name, count in slots.items())
    raise ValueError(
        f"{settings.ranks} ranks do not fit into the {sum(slots.values())} slots of the hosts ({held}). Start fewer "
        "ranks, name more hosts or slots, or let ranks share slots: --mpirun-args '--map-by :OVERSUBSCRIBE'"
    )


def tell_of_unknown(names: Sequence[str]) -> None:
    """Say which hosts have no address, where ranks could not be started; a name may be known to ssh alone."""
    unknown = [name for name in names if not _has_address(name)]
    if unknown:
        print(
            f"distkeras: no address is known for {', '.join(unknown)}, of the hosts {', '.join(names)}: look for a "
            "slip of the pen in the hostfile, and whether `ssh HOST true` works from here",
            file=sys.stderr,
        )


def _has_address(name: str) -> bool:
    try:
        return bool(socket.getaddrinfo(name, None))
    except OSError:
        return False
