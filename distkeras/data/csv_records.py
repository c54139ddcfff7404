"""`tf.io.decode_csv`: lines of CSV as columns."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.data.dataset.tables import Column


class _Layout:
    """How a line is read.

    Args:
        columns: The columns that are wanted.
        places: The number of each; None if they are all that a line has.
        dialect: What `csv.reader` is told.
        na_value: What, besides nothing, stands for an empty field.
    """

    def __init__(self, columns: list[Column], places: list[int] | None, dialect: dict[str, Any], na_value: str) -> None:
        self.columns, self._all, self._dialect, self._na_value = columns, places is None, dialect, na_value
        self._places = list(range(len(columns))) if places is None else places
        self._wanted = self._places[-1] + 1 if self._places else 0

    def read(self, line: bytes, number: int) -> list[Any]:
        """The values of a line's columns.

        Raises:
            InvalidArgumentError: It has other fields than are expected.
        """
        (row,) = csv.reader([line.decode()], **self._dialect)
        row = row or [""]
        if len(row) < self._wanted or (self._all and len(row) > self._wanted):
            raise InvalidArgumentError(
                f"Expect {self._wanted} fields but have {len(row)} in record {number}: {line!r}. There is one entry of "
                "record_defaults for each field; select_cols names those that are wanted of more."
            )
        places = zip(self.columns, self._places, strict=True)
        return [column.read(row[place], place, self._na_value)[()] for column, place in places]


_decode = Primitive("decode_csv")


@_decode.def_shape
def _decode_shape(records: TensorSpec, layout: _Layout) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(records.shape, column.dtype) for column in layout.columns)


@_decode.def_kernel
def _decode_kernel(inputs: Sequence, outputs: Sequence, scratch: Callable, *, layout: _Layout) -> Calls:
    return [(_fill, (inputs[0], outputs, layout))]


def _fill(records: np.ndarray, outputs: Sequence[np.ndarray], layout: _Layout) -> None:
    flat = [out.reshape(-1) for out in outputs]
    for number, line in enumerate(records.reshape(-1)):
        for out, value in zip(flat, layout.read(line, number), strict=True):
            out[number] = value


def decode_csv(
    records: Any,
    record_defaults: Sequence[Any],
    field_delim: str = ",",
    use_quote_delim: bool = True,
    na_value: str = "",
    select_cols: Sequence[int] | None = None,
    name: str | None = None,
) -> list[Tensor]:
    """The columns of lines of CSV.

    Args:
        records: Lines, texts of any shape.
        record_defaults: For each column what empty fields stand for, in a list, which also gives its type: float32,
            float64, int32, int64 or text; or the type alone, or an empty tensor of it, if fields must not be empty.
        field_delim: What separates fields.
        use_quote_delim: Whether double quotes enclose fields.
        na_value: What, besides nothing, stands for an empty field.
        select_cols: Numbers of the columns that are wanted, increasing; all by default.

    Returns:
        For each column a tensor of the shape of `records`.

    Raises:
        InvalidArgumentError: A line has other fields than are expected, or one is no number.

    >>> import distkeras as tf
    >>> age, name = tf.io.decode_csv(["3,Ann", ",Bob"], record_defaults=[[0], [""]])
    >>> age.numpy().tolist(), name.numpy().tolist()
    ([3, 0], [b'Ann', b'Bob'])
    """
    texts = to_tensor(records)
    if texts.dtype != "string":
        raise InvalidArgumentError(f"decode_csv: records must be texts, received dtype {texts.dtype.name}.")
    if len(field_delim) != 1:
        raise ValueError(f"decode_csv: field_delim must be one character, received {field_delim!r}.")
    columns = [Column(default) for default in record_defaults]
    places = None if select_cols is None else [int(place) for place in select_cols]
    if not columns or (places is not None and (len(places) != len(columns) or sorted(set(places)) != places)):
        raise ValueError(
            f"decode_csv: expected one entry of record_defaults for each of the columns, at least one, and select_cols "
            f"increasing; received {len(columns)} record_defaults and select_cols={select_cols}."
        )
    quoting = csv.QUOTE_MINIMAL if use_quote_delim else csv.QUOTE_NONE
    layout = _Layout(columns, places, {"delimiter": field_delim, "quoting": quoting}, na_value)
    found = _decode(texts, layout=layout)
    return list(found) if isinstance(found, tuple) else [found]
