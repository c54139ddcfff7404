"""Tables as text: stages over the rows of CSV files, and what their columns are."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.spec import DType, TensorSpec, as_dtype
from distkeras.core.tensor import Tensor
from distkeras.data.dataset.reading import Files, file_names, text
from distkeras.data.dataset.stage import Stage
from distkeras.data.dataset.structure import Leaves, as_leaf
from distkeras.data.records import check_compression, open_for_reading

_TYPES = ("float32", "float64", "int32", "int64", "string")


class Column:
    """A column's type, and what an empty field stands for.

    Args:
        default: A type, for a column that may not have empty fields; else the value for these, perhaps in a list.
    """

    def __init__(self, default: Any) -> None:
        self.default: np.ndarray | None = None
        if not isinstance(default, (list, tuple, np.ndarray, Tensor, str, bytes, float, int)):
            self.dtype: DType = as_dtype(default)
        elif isinstance(default, str) and default in _TYPES:
            self.dtype = as_dtype(default)
        else:
            value = as_leaf(default).reshape(-1)
            self.dtype = as_dtype(value.dtype)
            self.default = value[:1].reshape(()) if len(value) else None
        if self.dtype.name not in _TYPES:
            raise TypeError(f"A column may be of type {', '.join(_TYPES)}; received {default!r}.")

    def read(self, entry: str, number: int, na_value: str) -> np.ndarray:
        """The value of a field.

        Raises:
            InvalidArgumentError: It is empty but must not be, or is no number.
        """
        if entry in ("", na_value):
            if self.default is not None:
                return self.default
            raise InvalidArgumentError(f"Field {number} is required but missing in record!")
        if self.dtype.name == "string":
            return text(entry.encode())
        try:
            return np.array(entry.strip() if self.dtype.is_floating else int(entry), self.dtype.numpy)
        except (ValueError, OverflowError):
            raise InvalidArgumentError(f"Field {number} in record is not a valid {self.dtype.name}: {entry}") from None


def table(
    filenames: Any,
    record_defaults: Sequence[Any],
    compression_type: str | None,
    buffer_size: int | None,
    header: bool,
    field_delim: str,
    use_quote_delim: bool,
    na_value: str,
    select_cols: Sequence[int] | None,
) -> Stage:
    """The rows of CSV files, as tuples of scalars; see `CsvDataset`."""
    kind = check_compression(compression_type)
    columns = [Column(default) for default in record_defaults]
    chosen = list(range(len(columns))) if select_cols is None else [int(number) for number in select_cols]
    if len(chosen) != len(columns):
        raise InvalidArgumentError(
            f"{len(chosen)} columns are selected, but there are {len(columns)} record_defaults: give one for each."
        )
    if any(one >= other for one, other in itertools.pairwise(chosen)):
        raise InvalidArgumentError(f"select_cols should be strictly increasing indices, received {chosen}.")

    wanted = len(columns) if select_cols is None else chosen[-1] + 1

    def rows(name: bytes) -> Iterator[list[str]]:
        with open_for_reading(name, kind, buffer_size) as file:
            yield from itertools.islice(read_table(file, field_delim, use_quote_delim), int(header), None)

    def parse(row: list[str]) -> Leaves:
        if len(row) < wanted or (select_cols is None and len(row) > wanted):
            raise InvalidArgumentError(f"Expect {wanted} fields but have {len(row)} in record: {row}.")
        return [column.read(row[place], place, na_value) for column, place in zip(columns, chosen, strict=True)]

    spec = tuple(TensorSpec((), column.dtype) for column in columns)
    return Files(file_names(filenames), lambda name: map(parse, rows(name)), spec)


def read_table(file: Any, field_delim: str, use_quote_delim: bool) -> Iterator[list[str]]:
    """The rows of a CSV file as lists of text; empty lines are passed over."""
    quoting = csv.QUOTE_MINIMAL if use_quote_delim else csv.QUOTE_NONE
    with io.TextIOWrapper(file, "utf-8", newline="") as lines:
        yield from filter(None, csv.reader(lines, delimiter=field_delim, quoting=quoting))


def infer_types(rows: list[list[str]], columns: Sequence[int], na_value: str) -> list[DType]:
    """The narrowest type that holds all fields of each column: int32, int64, float32, float64 or text."""
    return [_narrowest([row[place] for row in rows if row[place] not in ("", na_value)]) for place in columns]


def _narrowest(entries: list[str]) -> DType:
    tests: list[tuple[str, Callable[[str], bool]]] = [
        ("int32", lambda entry: -(2**31) <= int(entry) < 2**31),
        ("int64", lambda entry: -(2**63) <= int(entry) < 2**63),
        ("float32", lambda entry: float(entry) < float(np.finfo(np.float32).max)),  # so that inf and nan are text
        ("float64", lambda entry: float(entry) < np.finfo(np.float64).max),
    ]
    for name, holds in tests:
        try:
            if all(holds(entry) for entry in entries):
                return as_dtype(name)
        except ValueError:
            continue
    return as_dtype("string")


def default_of(dtype: Any) -> np.ndarray:
    """What an empty field stands for by default: 0, or the empty text."""
    dtype = as_dtype(dtype)
    return np.array(b"" if dtype.name == "string" else 0, dtype.numpy)
