"""`tf.lookup`: tables from keys to values that do not change."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError, NotFoundError
from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.core.sparse_tensor import SparseTensor
from distkeras.core.spec import DType, as_dtype
from distkeras.core.tensor import Tensor, as_array, to_tensor
from distkeras.ops._op import integer
from distkeras.ops.indexing import gather
from distkeras.ops.lookup import Vocabulary, lookup


class KeyValueTensorInitializer:
    """A table's content: keys, and the value of each.

    Args:
        keys: [n] texts or integers.
        values: [n] of any type.
        key_dtype, value_dtype: Their types, if others are wanted than they have.

    Raises:
        ValueError: They are not as many.
    """

    def __init__(
        self, keys: Any, values: Any, key_dtype: Any = None, value_dtype: Any = None, name: str | None = None
    ) -> None:
        self.keys, self.values = _as(keys, key_dtype), _as(values, value_dtype)
        if self.keys.ndim != 1 or self.keys.shape != self.values.shape:
            raise ValueError(
                f"The keys and values of a table must be vectors of one length, received {self.keys.shape} and "
                f"{self.values.shape}."
            )
        self.key_dtype, self.value_dtype = as_dtype(self.keys.dtype), as_dtype(self.values.dtype)


def _as(values: Any, dtype: Any) -> np.ndarray:
    array = as_array(values)
    return array if dtype is None else as_array(values, as_dtype(dtype))


class TextFileIndex:
    """What a `TextFileInitializer` takes of a line, besides the number of a column."""

    WHOLE_LINE = -2
    LINE_NUMBER = -1


class TextFileInitializer(KeyValueTensorInitializer):
    """A table's content from the lines of a text file, which is read at once.

    Args:
        filename: The file.
        key_dtype, value_dtype: Types of keys and values.
        key_index, value_index: The number of a column, or `TextFileIndex.WHOLE_LINE` or `LINE_NUMBER`, from 0 on.
        vocab_size: How many lines are read; all by default.
        delimiter: What is between columns.

    Raises:
        NotFoundError: There is no such file.
        InvalidArgumentError: A line has no such column, or what it holds is no number.

    >>> import distkeras as tf, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "words.txt")
    >>> tf.io.write_file(path, "the\\ncat\\n")
    >>> words = tf.lookup.TextFileInitializer(
    ...     path, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    ... )
    >>> tf.lookup.StaticHashTable(words, -1).lookup(tf.constant(["cat", "dog"])).numpy().tolist()
    [1, -1]
    """

    def __init__(
        self,
        filename: Any,
        key_dtype: Any,
        key_index: int,
        value_dtype: Any,
        value_index: int,
        vocab_size: int | None = None,
        delimiter: str = "\t",
        name: str | None = None,
    ) -> None:
        path = os.fsdecode(as_array(filename)[()])
        if not os.path.exists(path):
            raise NotFoundError(f"There is no file {path!r} to make a table of.")
        with open(path, "rb") as file:
            lines = [line.rstrip(b"\r\n") for line in file][:vocab_size]
        if vocab_size is not None and len(lines) < vocab_size:
            raise InvalidArgumentError(f"{path!r} has {len(lines)} lines, fewer than vocab_size={vocab_size}.")
        columns = (
            _column(lines, index, as_dtype(dtype), delimiter.encode(), path)
            for index, dtype in ((key_index, key_dtype), (value_index, value_dtype))
        )
        super().__init__(*columns)


def _column(lines: list[bytes], index: int, dtype: DType, delimiter: bytes, path: str) -> np.ndarray:
    if index == TextFileIndex.LINE_NUMBER:
        return np.arange(len(lines)).astype(dtype.numpy)
    try:
        entries = lines if index == TextFileIndex.WHOLE_LINE else [line.split(delimiter)[index] for line in lines]
        if dtype.name != "string":
            return np.array([dtype.numpy.type(entry) for entry in entries], dtype.numpy)
    except (IndexError, ValueError) as error:
        raise InvalidArgumentError(f"{path!r}: column {index} is missing, or no {dtype.name}: {error}.") from None
    result = np.empty(len(entries), object)
    result[:] = entries
    return result


class _Table:
    """A vocabulary, and the value of each of its numbers."""

    _takes_any_integer = False

    def __init__(
        self, vocabulary: Vocabulary, key_dtype: DType, values: np.ndarray, size: int, name: str | None
    ) -> None:
        self._vocabulary, self._values, self._size = vocabulary, to_tensor(values), size
        self.key_dtype, self.value_dtype = key_dtype, self._values.dtype
        self.name = name or type(self).__name__

    def size(self, name: str | None = None) -> Tensor:
        """int64: how many keys there are; buckets count."""
        return to_tensor(np.array(self._size, np.int64))

    def lookup(self, keys: Any, name: str | None = None) -> Any:
        """The values of keys: a tensor of their shape, or a sparse or ragged one for such keys.

        Raises:
            TypeError: Keys are of another type than the table's.
        """
        if isinstance(keys, SparseTensor):
            return SparseTensor(keys.indices, self.lookup(keys.values), keys.dense_shape)
        if isinstance(keys, RaggedTensor):
            return keys.with_flat_values(self.lookup(keys.flat_values))
        keys = to_tensor(keys)
        if keys.dtype is not self.key_dtype and not (keys.dtype.is_integer and self._takes_any_integer):
            raise TypeError(
                f"Signature mismatch. Keys must be dtype {self.key_dtype.name}, got {keys.dtype.name}: "
                f"tf.cast(keys, tf.{self.key_dtype.name}), or tf.strings.as_string for texts."
            )
        return gather(self._values, lookup(keys, self._vocabulary, keep_missing=True))

    __getitem__ = lookup


class StaticHashTable(_Table):
    """A table from keys to values.

    Args:
        initializer: The content: a `KeyValueTensorInitializer` or a `TextFileInitializer`.
        default_value: The value of keys that are not in the table.

    Attributes:
        key_dtype, value_dtype: The types of keys and values.

    Raises:
        InvalidArgumentError: A key is given two values.

    >>> import distkeras as tf
    >>> content = tf.lookup.KeyValueTensorInitializer(["a", "b"], [10, 20])
    >>> table = tf.lookup.StaticHashTable(content, default_value=-1)
    >>> table.lookup(tf.constant([["b", "x"]])).numpy().tolist(), int(table.size())
    ([[20, -1]], 2)
    """

    def __init__(self, initializer: KeyValueTensorInitializer, default_value: Any, name: str | None = None) -> None:
        keys, values = _distinct(initializer)
        default = as_array(default_value, initializer.value_dtype)
        if default.ndim:
            raise ValueError(f"default_value must be a scalar, received shape {default.shape}.")
        super().__init__(
            Vocabulary(keys, default=len(keys)),
            initializer.key_dtype,
            np.append(values, default),
            len(keys),
            name,
        )
        self.default_value = Tensor(default)


class StaticVocabularyTable(_Table):
    """A table from keys to numbers, with hash buckets for keys that it does not know.

    Args:
        initializer: Keys and their int64 numbers 0, 1, ...; None for buckets alone.
        num_oov_buckets: How many buckets there are for other keys: their numbers follow.
        lookup_key_dtype: The type of keys, where there is no initializer.

    Raises:
        ValueError: There are no buckets.
        TypeError: Values are not int64.

    >>> import distkeras as tf
    >>> content = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([0, 1], tf.int64))
    >>> tf.lookup.StaticVocabularyTable(content, 3).lookup(tf.constant(["b", "x"])).numpy().tolist()
    [1, 4]
    """

    _takes_any_integer = True

    def __init__(
        self,
        initializer: KeyValueTensorInitializer | None,
        num_oov_buckets: int,
        lookup_key_dtype: Any = None,
        name: str | None = None,
    ) -> None:
        buckets = integer(num_oov_buckets, "num_oov_buckets")
        if buckets < 1:
            raise ValueError(f"oov_buckets must be > 0, received {buckets}.")
        if initializer is None:
            keys, values = np.empty(0, object), np.empty(0, np.int64)
            dtype = as_dtype("string" if lookup_key_dtype is None else lookup_key_dtype)
        else:
            dtype = initializer.key_dtype
            if initializer.value_dtype.name != "int64":
                raise TypeError(f"Invalid value dtype {initializer.value_dtype.name}, expected int64.")
            keys, values = _distinct(initializer)
        size = len(values) + buckets
        numbers = np.append(values, np.arange(len(values), size))
        super().__init__(Vocabulary(keys, num_oov_buckets=buckets), dtype, numbers, size, name)


def _distinct(initializer: KeyValueTensorInitializer) -> tuple[list[Any], np.ndarray]:
    """Keys, each once, and their values."""
    found: dict[Any, Any] = {}
    for key, value in zip(initializer.keys.tolist(), initializer.values.tolist(), strict=True):
        if found.setdefault(key, value) != value:
            raise InvalidArgumentError(f"The table has two values for the key {key!r}: {found[key]!r} and {value!r}.")
    values = np.empty(len(found), initializer.values.dtype)
    values[:] = list(found.values())
    return list(found), values
