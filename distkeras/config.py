"""`tf.config`: what there is to run on. There are only CPUs, and how many processes run is the launcher's choice."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

from distkeras.graph.function import run_functions_eagerly


class PhysicalDevice(NamedTuple):
    """A device of this machine."""

    name: str
    device_type: str


def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The devices of a type: one CPU, no GPU."""
    return [PhysicalDevice("/physical_device:CPU:0", "CPU")] if device_type in (None, "CPU") else []


@contextlib.contextmanager
def device(device_name: Any) -> Iterator[None]:
    """Place operations on a device (`tf.device`); they run on the CPU.

    Raises:
        ValueError: The name is not one of a CPU or GPU.
    """
    if device_name is not None and not any(kind in str(device_name).upper() for kind in ("CPU", "GPU")):
        raise ValueError(f"Expected a device name such as '/cpu:0', received {device_name!r}.")
    yield


experimental = types.SimpleNamespace(list_physical_devices=list_physical_devices)
experimental_run_functions_eagerly = run_functions_eagerly

__all__ = ["PhysicalDevice", "device", "experimental", "experimental_run_functions_eagerly", "list_physical_devices"]
