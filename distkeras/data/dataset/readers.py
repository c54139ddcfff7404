"""Datasets that are read from files: of lines, records and tables."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras.core.tensor import Tensor
from distkeras.data.dataset.dataset import Dataset
from distkeras.data.dataset.reading import fixed_records, lines, matching, records
from distkeras.data.dataset.selecting import AUTOTUNE
from distkeras.data.dataset.tables import default_of, infer_types, read_table, table
from distkeras.data.dataset.transforms import IgnoreErrors
from distkeras.data.records import check_compression, open_for_reading


class TextLineDataset(Dataset):
    """The lines of text files, without their ends.

    Args:
        filenames: A name, a list or tensor of names, or a dataset of them.
        compression_type: None, 'GZIP' or 'ZLIB'.
        buffer_size: Bytes to read at once.
        num_parallel_reads: If given, so many files are read in turns, each by a thread of its own.

    Raises:
        NotFoundError: When it is read: there is no such file.
    """

    def __init__(
        self,
        filenames: Any,
        compression_type: str | None = None,
        buffer_size: int | None = None,
        num_parallel_reads: int | None = None,
    ) -> None:
        super().__init__(lines(filenames, compression_type, buffer_size, num_parallel_reads))


class TFRecordDataset(Dataset):
    """The records of TFRecord files, as scalar strings; their checksums are checked.

    Args:
        filenames, compression_type, buffer_size, num_parallel_reads: As for `TextLineDataset`.

    Raises:
        NotFoundError: When it is read: there is no such file.
        DataLossError: When it is read: a file is broken.
    """

    def __init__(
        self,
        filenames: Any,
        compression_type: str | None = None,
        buffer_size: int | None = None,
        num_parallel_reads: int | None = None,
    ) -> None:
        super().__init__(records(filenames, compression_type, buffer_size, num_parallel_reads))


class FixedLengthRecordDataset(Dataset):
    """The records of binary files, each of so many bytes, as scalar strings; `tf.io.decode_raw` makes numbers of them.

    Args:
        filenames: A name, a list or tensor of names, or a dataset of them.
        record_bytes: Bytes of a record.
        header_bytes, footer_bytes: Bytes at the beginning and at the end of each file that are left out.
        buffer_size: Bytes to read at once.
        compression_type: None, 'GZIP' or 'ZLIB'.
        num_parallel_reads: If given, so many files are read in turns, each by a thread of its own.

    Raises:
        InvalidArgumentError: A number of bytes is negative, or that of a record 0; or, when it is read, what is in a
            file is no whole number of records.
        NotFoundError: When it is read: there is no such file.
    """

    def __init__(
        self,
        filenames: Any,
        record_bytes: int,
        header_bytes: int | None = None,
        footer_bytes: int | None = None,
        buffer_size: int | None = None,
        compression_type: str | None = None,
        num_parallel_reads: int | None = None,
    ) -> None:
        ends = header_bytes or 0, footer_bytes or 0
        super().__init__(
            fixed_records(filenames, record_bytes, *ends, buffer_size, compression_type, num_parallel_reads)
        )


class CsvDataset(Dataset):
    """The rows of CSV files, as tuples of scalars.

    Args:
        filenames: A name, a list or tensor of names, or a dataset of them.
        record_defaults: For each column its type, if it must not have empty fields, or what these stand for.
        compression_type: None, 'GZIP' or 'ZLIB'.
        buffer_size: Bytes to read at once.
        header: Whether the first row of each file holds names.
        field_delim: What separates fields.
        use_quote_delim: Whether double quotes enclose fields.
        na_value: What, besides nothing, stands for an empty field.
        select_cols: Numbers of the columns to read, increasing; all by default.

    Raises:
        InvalidArgumentError: When it is read: a field is missing, or is no number.
    """

    def __init__(
        self,
        filenames: Any,
        record_defaults: Sequence[Any],
        compression_type: str | None = None,
        buffer_size: int | None = None,
        header: bool = False,
        field_delim: str = ",",
        use_quote_delim: bool = True,
        na_value: str = "",
        select_cols: Sequence[int] | None = None,
    ) -> None:
        super().__init__(
            table(
                filenames,
                record_defaults,
                compression_type,
                buffer_size,
                header,
                field_delim,
                use_quote_delim,
                na_value,
                select_cols,
            )
        )


def make_csv_dataset(
    file_pattern: Any,
    batch_size: int,
    column_names: Sequence[str] | None = None,
    column_defaults: Sequence[Any] | None = None,
    label_name: str | None = None,
    select_columns: Sequence[Any] | None = None,
    field_delim: str = ",",
    use_quote_delim: bool = True,
    na_value: str = "",
    header: bool = True,
    num_epochs: int | None = None,
    shuffle: bool = True,
    shuffle_buffer_size: int = 10000,
    shuffle_seed: int | None = None,
    prefetch_buffer_size: int | None = None,
    num_parallel_reads: int | None = None,
    sloppy: bool = False,
    num_rows_for_inference: int | None = 100,
    compression_type: str | None = None,
    ignore_errors: bool = False,
) -> Dataset:
    """Batches of the rows of CSV files, as dicts of columns by name.

    Args:
        file_pattern: A glob pattern, or a list of them.
        batch_size: Rows of a batch.
        column_names: By default those in the first row of the first file.
        column_defaults: As `record_defaults` of `CsvDataset`; by default the types are found out, and empty fields
            stand for 0 or empty text.
        label_name: Name of the column that is the target: elements are then (columns, target).
        select_columns: Names or numbers of the columns to read; all by default.
        field_delim, use_quote_delim, na_value, header, compression_type: As for `CsvDataset`.
        num_epochs: How often to read the files; None for without end.
        shuffle, shuffle_buffer_size, shuffle_seed: Whether and how to shuffle rows, and files.
        prefetch_buffer_size: Batches to read ahead; chosen by default.
        num_parallel_reads: How many files are read in turns.
        sloppy: Accepted: the order is always deterministic.
        num_rows_for_inference: How many rows to find the types with; None for all.
        ignore_errors: Whether rows that cannot be read are left out.

    Raises:
        ValueError: A name is given twice or not known.
    """
    paths = matching(file_pattern)
    layout = {"compression_type": compression_type, "field_delim": field_delim, "use_quote_delim": use_quote_delim}
    names = list(column_names) if column_names is not None else _first_rows(paths, 1, **layout)[0]
    if len(set(names)) != len(names):
        raise ValueError(f"Cannot have duplicate column names: {names}.")
    chosen = _chosen(select_columns, names)
    if column_defaults is None:
        limit = None if num_rows_for_inference is None else num_rows_for_inference + header
        rows = _first_rows(paths, limit, **layout)[header:]
        column_defaults = [default_of(dtype) for dtype in infer_types(rows, chosen, na_value)]
    elif len(column_defaults) == len(names) != len(chosen):
        column_defaults = [column_defaults[place] for place in chosen]
    names = [names[place] for place in chosen]
    if label_name is not None and label_name not in names:
        raise ValueError(f"`label_name` {label_name!r} must be one of the columns: {names}.")

    files = Dataset.from_tensor_slices(paths)
    if shuffle:
        files = files.shuffle(len(paths), shuffle_seed)
    if num_epochs != 1:
        files = files.repeat(num_epochs)

    def rows_of(name: Tensor) -> Dataset:
        rows = CsvDataset(name, column_defaults, header=header, na_value=na_value, select_cols=chosen, **layout)
        return Dataset(IgnoreErrors(rows._stage)) if ignore_errors else rows

    dataset = files.interleave(rows_of, cycle_length=num_parallel_reads or 1)
    dataset._stage.adopt_spec(rows_of(paths[0]).element_spec)
    if shuffle:
        dataset = dataset.shuffle(shuffle_buffer_size, shuffle_seed)

    def by_name(*columns: Tensor) -> Any:
        features = OrderedDict(zip(names, columns, strict=True))
        return features if label_name is None else (features, features.pop(label_name))

    dataset = dataset.batch(batch_size, drop_remainder=num_epochs is None).map(by_name)
    return dataset.prefetch(AUTOTUNE if prefetch_buffer_size is None else prefetch_buffer_size)


def _first_rows(
    paths: np.ndarray, limit: int | None, compression_type: str | None, field_delim: str, use_quote_delim: bool
) -> list[list[str]]:
    """The first rows of the first file that has any.

    Raises:
        ValueError: No file has.
    """
    for path in paths:
        with open_for_reading(path, check_compression(compression_type)) as file:
            rows = list(itertools.islice(read_table(file, field_delim, use_quote_delim), limit))
            if rows:
                return rows
    raise ValueError(f"The files are empty: {[path.decode() for path in paths]}.")


def _chosen(select_columns: Sequence[Any] | None, names: list[str]) -> list[int]:
    if select_columns is None:
        return list(range(len(names)))
    unknown = [
        column
        for column in select_columns
        if (column not in names if isinstance(column, str) else not 0 <= column < len(names))
    ]
    if unknown:
        raise ValueError(f"`select_columns` names columns that are not there: {unknown}. There are: {names}.")
    return sorted(names.index(column) if isinstance(column, str) else int(column) for column in select_columns)
