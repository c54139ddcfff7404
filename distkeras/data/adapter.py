"""Data adapters: one class for each form in which data may be given, all yielding global batches.

An adapter claims data by its form, and exactly one may do so. What it yields are *global* batches, the same on every
rank, as a size and a function that reads a range of the batch's rows, so that a rank only reads what is its own.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from distkeras._registry import Registry
from distkeras.data.forms import KnownForms

Data = tuple[Any, Any, Any]  # x, y, sample_weight; structures of arrays, or None
Standardize = Callable[[Any, Any, Any], Data]


class GlobalBatch(NamedTuple):
    """A batch of the whole job.

    Attributes:
        size: Number of rows over all ranks.
        read: (start, stop) -> (x, y, sample_weight) holding these rows.
        bounds: The rows [start, stop) that are this rank's, where the data decides; by default they are shared out
            evenly.
    """

    size: int
    read: Callable[[int, int], Data]
    bounds: tuple[int, int] | None = None


class Place(NamedTuple):
    """Where an interrupted training goes on in its data.

    Attributes:
        epoch: Number of the epoch, from 0.
        step: How many of its batches were taken.
        consumed: How many batches were taken in all, since `fit` was first called.
    """

    epoch: int
    step: int = 0
    consumed: int = 0


def as_it_is(x: Any, y: Any, sample_weight: Any) -> Data:
    """Standardization for data that consists of arrays already, and of which nothing is known."""
    return x, y, sample_weight


@dataclass(frozen=True)
class DataOptions:
    """How data is to be read, as `fit`, `evaluate` and `predict` take it.

    Attributes:
        batch_size: Rows of a global batch; only for data that does not come in batches.
        steps: Batches per epoch, None for as many as there are.
        shuffle: True, False or 'batch'.
        order_key: Gives, for an epoch, the ints that its order is drawn from.
        standardize: Checks data and brings it into the form that the model takes: called with (x, y, sample_weight) of
            whole arrays, or of each batch.
        workers: How many threads or processes read ahead; 0 reads in the calling thread.
        use_multiprocessing: Whether these are processes.
        max_queue_size: How many batches may be read ahead.
        tuples_only: Whether only a tuple means (x, y, sample_weight), because a list may be a list of inputs.
        rank: This rank.
        num_replicas: How many ranks there are.
        broadcast: Gives every rank the value of rank 0.
        gather: Gives every rank the values of all ranks, in their order.
        scatter: Gives every rank that one of the values which rank 0 holds for it.
        is_elastic: Whether ranks may be lost: each then holds whole batches, of which it can take other rows.
        by_rows: Whether ranks take equal shares of a batch, as `shard_bounds` says.
        shard: How Sequences are shared out: 'slice', rows of each batch, or 'stride', whole batches in turn.
        restart: Whether a Sequence is read from its beginning in each epoch, even if that does not read all of it.
        float_type: The type that floating-point arrays are cast to.
        known: Forms of batches that were standardized before.
    """

    batch_size: int | None = None
    steps: int | None = None
    shuffle: bool | str = False
    order_key: Callable[[int], tuple[int, ...]] = field(default=lambda epoch: (0, epoch))
    standardize: Standardize = as_it_is
    workers: int = 1
    use_multiprocessing: bool = False
    max_queue_size: int = 10
    tuples_only: bool = False
    rank: int = 0
    num_replicas: int = 1
    broadcast: Callable[[Any], Any] = field(default=lambda value: value)
    gather: Callable[[Any], list] = field(default=lambda value: [value])
    scatter: Callable[[Any], Any] = field(default=lambda values: values[0])
    by_rows: bool = True
    shard: str = "slice"
    restart: bool = False
    is_elastic: bool = False
    float_type: str = "float32"
    known: KnownForms = field(default_factory=KnownForms)


class DataAdapter(abc.ABC):
    """Base of all adapters: data in one form, seen as global batches.

    Attributes:
        form: What this form of data is called in messages.
        comes_in_batches: Whether the data itself decides what is a batch, and brings targets and weights.
        num_batches: Batches in an epoch, None when that is not known before they have been read.
        num_samples: Samples in an epoch, None when not known.
        batch_size: Rows of a full batch, None when not known.
        may_end: Whether data that ends before the last step ends the training; else it is an error.
    """

    form: str
    comes_in_batches = False
    may_end = False
    num_batches: int | None = None
    num_samples: int | None = None
    batch_size: int | None = None

    @classmethod
    @abc.abstractmethod
    def can_handle(cls, x: Any) -> bool:
        """Whether `x` is data in this adapter's form."""

    @abc.abstractmethod
    def __init__(self, x: Any, y: Any, sample_weight: Any, options: DataOptions) -> None:
        """Check the data; `y` and `sample_weight` are None for forms that bring their own."""

    @abc.abstractmethod
    def batches(self, epoch: int) -> Iterator[GlobalBatch]:
        """The batches of an epoch; a stream that cannot start anew goes on where it was left."""

    def how_to_speed_up(self) -> str:
        """What a user can do for the data to come faster, as a sentence."""
        return (
            "Prepare it before, or let it be read ahead: cache, prefetch and num_parallel_calls of tf.data, with "
            "workers=2, use_multiprocessing=True for functions of map that run as Python."
        )

    def go_to(self, place: Place) -> int:
        """Go on where an earlier run was interrupted; called before the first batch is read.

        Returns:
            How many batches that `batches(place.epoch)` will give are to be passed over. None are for an adapter that
            can leave them out without reading them.
        """
        return place.step

    def close(self) -> None:
        """Stop reading ahead."""
        return


ADAPTERS = Registry("data adapter")


def select_adapter(x: Any) -> type[DataAdapter]:
    """The adapter for data `x`.

    Raises:
        ValueError: No adapter claims it.
        TypeError: Several do; that is a mistake in the adapters' `can_handle`, or an object that is two things at once.
    """
    claims = [ADAPTERS[name] for name in ADAPTERS if ADAPTERS[name].can_handle(x)]
    if not claims:
        forms = ", ".join(sorted(ADAPTERS[name].form for name in ADAPTERS))
        raise ValueError(f"Cannot read data from an object of type {_type_name(x)}: {x!r}. Expected one of: {forms}.")
    if len(claims) > 1:
        names = " and ".join(claim.__name__ for claim in claims)
        raise TypeError(
            f"{names} both claim data of type {_type_name(x)}: give it in a form that only one of them reads."
        )
    return claims[0]


def _type_name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def split_batch(batch: Any, tuples_only: bool = False) -> Data:
    """What a generator or Sequence yields as (x, y, sample_weight).

    Raises:
        ValueError: It is a tuple of none or more than three parts.
    """
    is_parts = isinstance(batch, tuple) or (isinstance(batch, list) and not tuples_only and len(batch) in (2, 3))
    if not is_parts:
        return batch, None, None
    if not 1 <= len(batch) <= 3:
        raise ValueError(
            "Expected a batch to be x, (x, y) or (x, y, sample_weight), received a tuple of "
            f"{len(batch)} parts: {batch!r}. Put several inputs or targets in a list: ([x1, x2], y)."
        )
    return (*batch, None, None)[:3]
