"""`tf.distribute`: training on several ranks. Names are loaded when they are first used, MPI when ranks need it."""

from __future__ import annotations

import enum
import importlib
import types
from typing import Any

_HOMES = {
    "InputContext": "distributed_data",
    "MirroredStrategy": "mirrored",
    "OneDeviceStrategy": "strategies",
    "Strategy": "strategies",
    "get_replica_context": "strategies",
    "get_strategy": "strategies",
    "has_strategy": "strategies",
    "in_cross_replica_context": "strategies",
}
__all__ = [
    "CrossDeviceOps",
    "HierarchicalCopyAllReduce",
    "NcclAllReduce",
    "ReduceOp",
    "ReductionToOneDevice",
    "experimental",
    *_HOMES,
]


class ReduceOp(enum.Enum):
    """How values of ranks are combined."""

    SUM = "SUM"
    MEAN = "MEAN"


class CrossDeviceOps:
    """TensorFlow's choice of reduction algorithm; accepted, while the MPI library makes the choice."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.arguments = (args, kwargs)


class HierarchicalCopyAllReduce(CrossDeviceOps):
    """See `CrossDeviceOps`."""


class NcclAllReduce(CrossDeviceOps):
    """See `CrossDeviceOps`."""


class ReductionToOneDevice(CrossDeviceOps):
    """See `CrossDeviceOps`."""


class _Experimental(types.ModuleType):
    class CollectiveCommunication(enum.Enum):
        """TensorFlow's choice of transport; accepted, while the MPI library makes the choice."""

        AUTO = "AUTO"
        RING = "RING"
        NCCL = "NCCL"

    def __getattr__(self, name: str) -> Any:
        if name != "MultiWorkerMirroredStrategy":
            raise AttributeError(f"tf.distribute.experimental has no attribute {name!r}.")
        return importlib.import_module("distkeras.distribute.mirrored").MultiWorkerMirroredStrategy


experimental = _Experimental("distkeras.distribute.experimental")


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"tf.distribute has no attribute {name!r}; there are {', '.join(sorted(__all__))}.")
    return getattr(importlib.import_module(f"distkeras.distribute.{_HOMES[name]}"), name)


__dir__ = __all__.copy  # what completion offers
