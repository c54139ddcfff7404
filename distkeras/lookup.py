"""`tf.lookup`: tables from keys to values."""

from distkeras.ops.hash_tables import (
    KeyValueTensorInitializer,
    StaticHashTable,
    StaticVocabularyTable,
    TextFileIndex,
    TextFileInitializer,
)
