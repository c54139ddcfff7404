"""Numbers for texts and keys: by a table, by hashing, by hashing several together. Missing keys, '' and -1, give -1.

These primitives run Python code over their inputs, also inside of compiled steps, which may so be fed texts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import integer, op
from distkeras.ops.fingerprint import fingerprint, joined_fingerprint

_HASH_KEY = 0xDECAFCAFFE  # TensorFlow's, so that crossed columns give its buckets


def as_bytes(key: Any) -> bytes:
    """A text's bytes, or those of the decimal digits of a number."""
    return key if isinstance(key, bytes) else str(key).encode()


class Vocabulary:
    """Numbers 0, 1, 2, ... for known keys; for others hash buckets after these, or a default."""

    def __init__(self, keys: Sequence[Any], default: int = -1, num_oov_buckets: int = 0) -> None:
        self.numbers: Mapping[Any, int] = {_plain(key): number for number, key in enumerate(keys)}
        self.default, self.num_oov_buckets = default, num_oov_buckets

    def __call__(self, key: Any) -> int:
        number = self.numbers.get(_plain(key))
        if number is None:
            if not self.num_oov_buckets:
                return self.default
            number = len(self.numbers) + fingerprint(as_bytes(key)) % self.num_oov_buckets
        return number


class HashBuckets:
    """A bucket for each key."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self, key: Any) -> int:
        return fingerprint(as_bytes(key)) % self.count

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, HashBuckets) and self.count == other.count

    def __hash__(self) -> int:
        return hash(("HashBuckets", self.count))


def _plain(key: Any) -> Any:
    return key.decode(errors="surrogateescape") if isinstance(key, bytes) else key if isinstance(key, str) else int(key)


_lookup = Primitive("lookup")
_lookup.def_shape(lambda keys, table, keep: TensorSpec(keys.shape, "int64"))


@_lookup.def_kernel
def _lookup_kernel(inputs: Sequence, outputs: Sequence, scratch: Callable, *, table: Any, keep: bool) -> Calls:
    return [(_look_up, (inputs[0], outputs[0], table, keep))]


def _look_up(keys: np.ndarray, out: np.ndarray, table: Callable[[Any], int], keep: bool) -> None:
    found = (table(key) if keep or key not in ("", b"", -1) else -1 for key in keys.reshape(-1).tolist())
    out.reshape(-1)[...] = np.fromiter(found, np.int64, keys.size)


def lookup(keys: Any, table: Callable[[Any], int], keep_missing: bool = False) -> Tensor:
    """int64: the number of each key, a text or an integer.

    Args:
        keys: Of any shape.
        table: Gives the number of a key.
        keep_missing: Whether '' and -1 are keys like others.

    >>> lookup(["b", "", "x"], Vocabulary(["a", "b"], default=7)).numpy().tolist()
    [1, -1, 7]
    """
    keys = to_tensor(keys)
    if not (keys.dtype == "string" or keys.dtype.is_integer):
        raise InvalidArgumentError(f"lookup: keys must be texts or integers, received dtype {keys.dtype.name}.")
    return _lookup(keys, table=table, keep=keep_missing)


@op
def string_to_hash_bucket_fast(input: Any, num_buckets: int, name: str | None = None) -> Tensor:
    """int64: for each text one of `num_buckets`, the same on every machine.

    >>> import distkeras as tf
    >>> tf.strings.to_hash_bucket_fast(["Hello", "TensorFlow"], 3).numpy().tolist()
    [0, 2]
    """
    count = integer(num_buckets, "num_buckets")
    texts = to_tensor(input)
    if count < 1 or texts.dtype != "string":
        raise InvalidArgumentError(
            f"to_hash_bucket_fast: expected texts and num_buckets >= 1, received {texts.dtype.name} and {count}."
        )
    return lookup(texts, HashBuckets(count), keep_missing=True)


_cross = Primitive("cross")


@_cross.def_shape
def _cross_shape(*specs: TensorSpec, buckets: int, hash_key: int, sparse: int) -> TensorSpec:
    return TensorSpec((specs[0].shape[0], int(np.prod([spec.shape[1] for spec in specs]))), "int64")


@_cross.def_kernel
def _cross_kernel(
    inputs: Sequence, outputs: Sequence, scratch: Callable, *, buckets: int, hash_key: int, sparse: int
) -> Calls:
    return [(_cross_rows, (inputs, outputs[0], buckets, hash_key, sparse))]


def _cross_rows(parts: Sequence[np.ndarray], out: np.ndarray, buckets: int, hash_key: int, sparse: int) -> None:
    """Each row's combinations; where one of the first `sparse` parts is -1, there is none."""
    hashes = [
        [[None if number < sparse and key == -1 else _fingerprint_of(key) for key in row] for row in part.tolist()]
        for number, part in enumerate(parts)
    ]
    for row in range(len(out)):
        combinations = itertools.product(*(part[row] for part in hashes))
        out[row] = [_crossed(combination, buckets, hash_key) for combination in combinations]


def _fingerprint_of(key: Any) -> int:
    return key & ((1 << 64) - 1) if isinstance(key, int) else fingerprint(as_bytes(key))


def _crossed(combination: Sequence[int | None], buckets: int, hash_key: int) -> int:
    result = hash_key
    for part in combination:
        if part is None:
            return -1
        result = joined_fingerprint(result, part)
    return result % buckets


def cross(numbers: Sequence[Any], keys: Sequence[Any], buckets: int, hash_key: int | None = None) -> Tensor:
    """int64 [batch, combinations]: a bucket for each combination of one entry of every part.

    Args:
        numbers: [batch, entries] integers, -1 where there is no entry.
        keys: [batch, entries] texts or integers, which are all entries.
        buckets: How many buckets there are.
        hash_key: What hashing begins with.
    """
    parts = [to_tensor(part) for part in (*numbers, *keys)]
    return _cross(*parts, buckets=buckets, hash_key=_HASH_KEY if hash_key is None else hash_key, sparse=len(numbers))
