"""`tf.strings`: texts in string tensors."""

from distkeras.ops.lookup import string_to_hash_bucket_fast as to_hash_bucket_fast
from distkeras.ops.text import as_string
from distkeras.ops.text import string_join as join
from distkeras.ops.text import string_length as length
from distkeras.ops.text import string_lower as lower
from distkeras.ops.text import string_regex_full_match as regex_full_match
from distkeras.ops.text import string_regex_replace as regex_replace
from distkeras.ops.text import string_strip as strip
from distkeras.ops.text import string_substr as substr
from distkeras.ops.text import string_to_number as to_number
from distkeras.ops.text import string_upper as upper
from distkeras.ops.text_parts import string_bytes_split as bytes_split
from distkeras.ops.text_parts import string_ngrams as ngrams
from distkeras.ops.text_parts import string_split as split
from distkeras.ops.text_parts import (
    unicode_decode,
    unicode_decode_with_offsets,
    unicode_split,
    unicode_split_with_offsets,
)
from distkeras.ops.text_units import string_format as format
from distkeras.ops.text_units import string_reduce_join as reduce_join
from distkeras.ops.text_units import unicode_encode, unicode_transcode

__all__ = [
    "unicode_decode",
    "unicode_decode_with_offsets",
    "unicode_encode",
    "unicode_split",
    "unicode_split_with_offsets",
    "unicode_transcode",
    "reduce_join",
    "ngrams",
    "format",
    "bytes_split",
    "as_string",
    "join",
    "length",
    "lower",
    "regex_full_match",
    "regex_replace",
    "split",
    "strip",
    "substr",
    "to_hash_bucket_fast",
    "to_number",
    "upper",
]


def __getattr__(name: str) -> None:
    raise AttributeError(
        f"tf.strings has no {name!r}; there are {', '.join(__all__)}. For others use Python's str methods on "
        "tensor.numpy(), in a tf.numpy_function where a dataset needs them."
    )
