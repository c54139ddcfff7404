"""What may be set on a dataset: how it is shared out among ranks."""

from __future__ import annotations

import enum
from typing import Any


class AutoShardPolicy(enum.IntEnum):
    """How ranks share a dataset; see `DistributeOptions`."""

    OFF = -1
    AUTO = 0
    FILE = 1
    DATA = 2


class _Settings:
    """Attributes with defaults; others are refused. It knows which of them were set."""

    _defaults: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if name not in self._defaults:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")
        return self._defaults[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._defaults:
            known = ", ".join(sorted(self._defaults))
            raise AttributeError(f"Cannot set the property {name} on {type(self).__name__}; there are: {known}.")
        self.__dict__[name] = self._checked(name, value)

    def _checked(self, name: str, value: Any) -> Any:
        return value

    def over(self, earlier: Any) -> Any:
        """These settings, and where one was not set that of `earlier` ones."""
        merged = type(self)()
        merged.__dict__.update(earlier.__dict__)
        for name, mine in self.__dict__.items():
            merged.__dict__[name] = mine.over(getattr(earlier, name)) if isinstance(mine, _Settings) else mine
        return merged

    def __eq__(self, other: Any) -> bool:
        same = type(other) is type(self)
        return same and all(getattr(self, name) == getattr(other, name) for name in self._defaults)

    __hash__ = None


class DistributeOptions(_Settings):
    """How a dataset is shared out among ranks.

    Attributes:
        auto_shard_policy: AUTO and DATA: each batch is a global batch, of which each rank takes its rows. FILE: each
            rank reads every n-th of the files. OFF: each rank reads the whole dataset, which the script may have
            sharded itself. With FILE and OFF a rank's batch is cut into as many parts as there are ranks, so that the
            global batch has the size of one of them.
        one_reader_per: Of what has to be read as a whole: 'node', one rank of each node reads it, or 'job', rank 0 does
            and sends it to all: for files on one node's disk, and generators that must not run twice.
    """

    _defaults = {"auto_shard_policy": AutoShardPolicy.AUTO, "one_reader_per": "node"}

    def _checked(self, name: str, value: Any) -> Any:
        if name == "one_reader_per":
            if value not in ("node", "job"):
                raise ValueError(f"one_reader_per must be 'node' or 'job', received {value!r}.")
        elif not isinstance(value, AutoShardPolicy):
            raise TypeError(f"auto_shard_policy must be a tf.data.experimental.AutoShardPolicy, received {value!r}.")
        return value


class Options(_Settings):
    """What `Dataset.with_options` sets.

    Attributes:
        experimental_distribute: A DistributeOptions.
        experimental_deterministic: Elements always come in a deterministic order, whatever is set here.

    >>> import distkeras as tf
    >>> options = tf.data.Options()
    >>> options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    >>> dataset = tf.data.Dataset.range(3).with_options(options)
    >>> dataset.options().experimental_distribute.auto_shard_policy
    <AutoShardPolicy.OFF: -1>
    """

    _defaults = {"experimental_distribute": None, "experimental_deterministic": None}

    def __init__(self) -> None:
        self.experimental_distribute = DistributeOptions()

    def _checked(self, name: str, value: Any) -> Any:
        if name == "experimental_distribute" and not isinstance(value, DistributeOptions):
            raise TypeError(f"experimental_distribute must be a DistributeOptions, received {value!r}.")
        return value
