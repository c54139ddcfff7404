"""Checks of what `fit`, `evaluate` and `predict` are called with, made before anything is changed."""

from __future__ import annotations

import numbers
from collections.abc import Container
from typing import Any

from distkeras.data.adapter import DataAdapter
from distkeras.data.arrays import check_lengths, map_arrays, row_range


def check_integer(name: str, value: Any, minimum: int, optional: bool = False) -> int | None:
    """`value` as an int.

    Raises:
        TypeError: It is no integer.
        ValueError: It is less than `minimum`.
    """
    if value is None and optional:
        return None
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"`{name}` must be an integer, received {value!r} of type {type(value).__name__}.")
    if value < minimum:
        raise ValueError(f"`{name}` must be at least {minimum}, received {value}.")
    return int(value)


def check_verbose(verbose: Any) -> int:
    """`verbose` as 0, 1 or 2; ValueError for anything else."""
    if verbose not in (0, 1, 2):
        raise ValueError(
            f"`verbose` must be 0 (silent), 1 (progress bar) or 2 (one line per epoch), received {verbose!r}."
        )
    return int(verbose)


def check_validation_split(validation_split: Any) -> float:
    """`validation_split` as a float.

    Raises:
        ValueError: It is not at least 0 and less than 1.
        TypeError: It is no number.
    """
    if not isinstance(validation_split, numbers.Real) or isinstance(validation_split, bool):
        raise TypeError(f"`validation_split` must be a number, received {validation_split!r}.")
    if not 0.0 <= validation_split < 1.0:
        raise ValueError(
            f"`validation_split` must be at least 0 and less than 1, the fraction of the samples to validate on; "
            f"received {validation_split}."
        )
    return float(validation_split)


def check_validation_freq(validation_freq: Any) -> Any:
    """`validation_freq`, an int of at least 1 or a container of epochs.

    Raises:
        ValueError: It is neither.
    """
    is_integer = isinstance(validation_freq, numbers.Integral) and not isinstance(validation_freq, bool)
    if is_integer and validation_freq < 1:
        raise ValueError(f"`validation_freq` can not be less than 1, received {validation_freq}.")
    if not is_integer and (not isinstance(validation_freq, Container) or isinstance(validation_freq, (str, bytes))):
        raise ValueError(
            "`validation_freq` must be an integer or a container of epochs (list, tuple, ...), received "
            f"{validation_freq!r} of type {type(validation_freq).__name__}."
        )
    return validation_freq


def is_validated(validation_freq: Any, epoch: int) -> bool:
    """Whether validation follows an epoch; `epoch` counts from 0, `validation_freq` from 1.

    >>> [is_validated(2, epoch) for epoch in range(4)], is_validated([1, 3], 2)
    ([False, True, False, True], True)
    """
    if isinstance(validation_freq, numbers.Integral):
        return (epoch + 1) % validation_freq == 0
    return (epoch + 1) in validation_freq


def check_workers(max_queue_size: Any, workers: Any, use_multiprocessing: Any) -> None:
    """Check how batches are to be read ahead.

    Raises:
        TypeError: They are no integers, or no bool.
        ValueError: They are negative.
    """
    check_integer("max_queue_size", max_queue_size, 1)
    check_integer("workers", workers, 0)
    if use_multiprocessing not in (True, False):
        raise TypeError(f"`use_multiprocessing` must be True or False, received {use_multiprocessing!r}.")


def check_form(adapter: type[DataAdapter], y: Any, sample_weight: Any, batch_size: Any, shuffle: Any = False) -> None:
    """Check that data which comes in batches is not accompanied by what only arrays take.

    Raises:
        ValueError: Something is given twice, or cannot be done with this form of data.
    """
    if not adapter.comes_in_batches:
        return
    what = adapter.form
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(
                f"`{name}` argument is not supported when using {what} as input: let it yield tuples "
                "(x, y) or (x, y, sample_weight)."
            )
    if batch_size is not None:
        raise ValueError(
            f"The `batch_size` argument must not be specified when using {what} as input, because that makes the "
            f"batches; received {batch_size}."
        )
    if shuffle == "batch":
        raise ValueError(f"shuffle='batch' is for arrays; received {what}, whose batches are read as they come.")


def unpack_validation_data(validation_data: Any) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight) of `validation_data`: a tuple of two or three, or data that comes in batches.

    Raises:
        ValueError: It is a tuple of another length.
    """
    if isinstance(validation_data, (tuple, list)):
        if len(validation_data) not in (2, 3):
            raise ValueError(
                "When passing a `validation_data` argument, it must contain either 2 items (x_val, y_val), or 3 items "
                "(x_val, y_val, val_sample_weights), or alternatively it could be a dataset, a generator or a "
                f"Sequence. However we received {len(validation_data)} items."
            )
        return (*validation_data, None)[:3]
    return validation_data, None, None


def split_validation(data: tuple, validation_split: float) -> tuple[tuple, tuple]:
    """Set the last fraction of arrays apart.

    Args:
        data: (x, y, sample_weight), standardized.
        validation_split: The fraction.

    Returns:
        The data to train on, the data to validate on; views, nothing is copied.

    Raises:
        ValueError: One of the two would be empty.
    """
    count = check_lengths(*data)
    split_at = int(count * (1.0 - validation_split))
    if not 0 < split_at < count:
        raise ValueError(
            f"`validation_split`={validation_split} of {count} samples leaves {split_at} to train on and "
            f"{count - split_at} to validate on; both must be at least 1."
        )
    parts = ((0, split_at), (split_at, count))
    return tuple(
        tuple(map_arrays(lambda array, start=start, stop=stop: row_range(array, start, stop), part) for part in data)
        for start, stop in parts
    )


def check_batch_shape(batch_size: int | None, fixed: int | None) -> int | None:
    """The batch size, given what the model's input layer fixes.

    Raises:
        ValueError: They differ.
    """
    if fixed is None or batch_size in (None, fixed):
        return fixed if batch_size is None else batch_size
    raise ValueError(
        f"The `batch_size` argument value {batch_size} is incompatible with the batch size {fixed} that the model's "
        f"input was made with: pass batch_size={fixed}."
    )
