"""`tf.config`: what there is to run on. There are only CPUs, and how many processes run is the launcher's choice."""

from __future__ import annotations

import contextlib
import sys
import types
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

from distkeras.distribute import environment
from distkeras.graph.function import run_functions_eagerly

__all__ = [
    "LogicalDevice",
    "PhysicalDevice",
    "device",
    "experimental",
    "experimental_connect_to_cluster",
    "experimental_list_devices",
    "experimental_run_functions_eagerly",
    "get_soft_device_placement",
    "list_logical_devices",
    "list_physical_devices",
    "optimizer",
    "set_soft_device_placement",
    "threading",
]


class PhysicalDevice(NamedTuple):
    """A device of this machine."""

    name: str
    device_type: str


class LogicalDevice(NamedTuple):
    """A device as programs see it."""

    name: str
    device_type: str


_CPU = PhysicalDevice("/physical_device:CPU:0", "CPU")


class VirtualDeviceConfiguration(NamedTuple):
    """TensorFlow's division of a device into several; here, ranks are processes: `distkeras run -n 4`."""

    memory_limit: int | None = None


def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The devices of a type: one CPU, no GPU."""
    return [_CPU] if device_type in (None, "CPU") else []


def list_logical_devices(device_type: str | None = None) -> list[LogicalDevice]:
    """The devices of a type: one CPU, no GPU."""
    return [LogicalDevice("/device:CPU:0", "CPU")] if device_type in (None, "CPU") else []


def experimental_list_devices() -> list[str]:
    """The names of the devices."""
    return ["/job:localhost/replica:0/task:0/device:CPU:0"]


def _visible(devices: Any, what: str) -> list[PhysicalDevice]:
    """The devices asked for, each of which there must be."""
    wanted = [devices] if isinstance(devices, PhysicalDevice) else list(devices or [])
    if unknown := [device for device in wanted if device != _CPU]:
        raise ValueError(f"{what}: there is no device {unknown}; see tf.config.list_physical_devices().")
    return wanted


def set_visible_devices(devices: Any, device_type: str | None = None) -> None:
    """Choose devices; there is the CPU, and it stays visible.

    Raises:
        ValueError: There is no such device, or the CPU would be left out.
    """
    if not _visible(devices, "set_visible_devices") and device_type in (None, "CPU"):
        raise ValueError("set_visible_devices: the CPU cannot be left out: it is what distkeras runs on.")


def get_visible_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The devices of a type that are in use: the CPU."""
    return list_physical_devices(device_type)


def set_memory_growth(device: Any, enable: bool) -> None:
    """Accepted for the CPU, whose memory is always taken as it is needed."""
    _visible(device, "set_memory_growth")


def get_memory_growth(device: Any) -> bool:
    """Whether memory is taken as it is needed: always."""
    _visible(device, "get_memory_growth")
    return True


def set_virtual_device_configuration(device: Any, virtual_devices: Any) -> None:
    """One device stays one device.

    Raises:
        ValueError: Several virtual devices, or a limit of memory, are asked for.
    """
    _visible(device, "set_virtual_device_configuration")
    if virtual_devices and (len(virtual_devices) > 1 or virtual_devices[0].memory_limit is not None):
        raise ValueError(
            "set_virtual_device_configuration: the CPU cannot be divided into several devices within one process: run "
            "several processes, as in `distkeras run -n 2 train.py`."
        )


def get_virtual_device_configuration(device: Any) -> None:
    """None: there are no virtual devices."""
    _visible(device, "get_virtual_device_configuration")


_placement = {"soft": True, "log": False}


def set_soft_device_placement(enabled: bool) -> None:
    """Accepted: every operation runs on the CPU, wherever `tf.device` puts it."""
    _placement["soft"] = bool(enabled)


def get_soft_device_placement() -> bool:
    """What was last set; True at first."""
    return _placement["soft"]


def set_log_device_placement(enabled: bool) -> None:
    """Where operations run: on /device:CPU:0, all of them; said once."""
    if enabled and not _placement["log"]:
        print("Every operation runs on /job:localhost/replica:0/task:0/device:CPU:0", file=sys.stderr)
    _placement["log"] = bool(enabled)


def get_log_device_placement() -> bool:
    """What was last set; False at first."""
    return _placement["log"]


def _threads() -> int:
    """The threads of this process."""
    return environment.threads_per_rank(environment.detect())


def _set_threads(num_threads: int) -> None:
    """Accepted, with a warning: threads are shared out among the ranks when the process starts."""
    warnings.warn(
        "The number of threads is settled when the process starts: set DISTKERAS_THREADS, or run with --threads.",
        stacklevel=2,
    )


def experimental_connect_to_cluster(*args: Any, **kwargs: Any) -> None:
    """Ranks find each other through their launcher.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError(
        "experimental_connect_to_cluster: ranks find each other through their launcher: start the script with "
        "`distkeras run -n 4 --hosts a,b train.py`, or under mpirun or srun."
    )


def _jit() -> bool:
    return True


def _set_jit(enabled: bool) -> None:
    """Accepted: kernels are always compiled."""


_options: dict[str, bool] = {}


def _set_experimental_options(options: dict[str, bool]) -> None:
    """Accepted: graph rewrites keep results; `tf.config.experimental_run_functions_eagerly` turns compiling off."""
    _options.update(options)


@contextlib.contextmanager
def device(device_name: Any) -> Iterator[None]:
    """Place operations on a device (`tf.device`); they run on the CPU.

    Raises:
        ValueError: The name is not one of a CPU or GPU.
    """
    if device_name is not None and not any(kind in str(device_name).upper() for kind in ("CPU", "GPU")):
        raise ValueError(f"Expected a device name such as '/cpu:0', received {device_name!r}.")
    yield


threading = types.SimpleNamespace(
    get_inter_op_parallelism_threads=_threads,
    get_intra_op_parallelism_threads=_threads,
    set_inter_op_parallelism_threads=_set_threads,
    set_intra_op_parallelism_threads=_set_threads,
)
optimizer = types.SimpleNamespace(
    get_jit=_jit,
    set_jit=_set_jit,
    get_experimental_options=lambda: dict(_options),
    set_experimental_options=_set_experimental_options,
)
experimental = types.SimpleNamespace(
    VirtualDeviceConfiguration=VirtualDeviceConfiguration,
    get_memory_growth=get_memory_growth,
    get_visible_devices=get_visible_devices,
    get_virtual_device_configuration=get_virtual_device_configuration,
    list_logical_devices=list_logical_devices,
    list_physical_devices=list_physical_devices,
    set_memory_growth=set_memory_growth,
    set_virtual_device_configuration=set_virtual_device_configuration,
    set_visible_devices=set_visible_devices,
)
experimental_run_functions_eagerly = run_functions_eagerly
