"""Batches of images that are changed as they are read.

The order of samples is a function of (seed, epoch), and the changes of a sample are one of (seed, epoch, its number):
neither depends on how many ranks or workers read them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence as Numbers
from typing import Any

import numpy as np

from distkeras.core.random_state import global_seed, new_stream
from distkeras.data.sequence import Sequence
from distkeras.data.sharding import permutation
from distkeras.distribute.environment import detect
from distkeras.keras.preprocessing.image.files import array_to_img
from distkeras.ops._op import integer


class Iterator(Sequence):
    """Base of what `ImageDataGenerator.flow` and its likes give: by index the batches of an epoch; by `next`, of all.

    Subclasses implement `_get_batches_of_transformed_samples`.

    Args:
        n: Samples in an epoch.
        batch_size: Samples in a batch; the last one of an epoch may be shorter.
        shuffle: Whether each epoch has an order of its own.
        seed: Of orders and changes; the global seed by default.
    """

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int | None) -> None:
        if integer(batch_size, "batch_size") < 1:
            raise ValueError(f"batch_size must be at least 1, received {batch_size}.")
        self.n = n
        self.batch_size = int(batch_size)
        self.shuffle = shuffle
        self.seed = seed
        self.batch_index = 0
        self.total_batches_seen = 0
        self._stream = new_stream(seed)
        self._epoch = 0
        self._order: tuple[int, np.ndarray] | None = None

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise ValueError(f"Asked to retrieve element {index}, but the Sequence has length {len(self)}")
        start = index * self.batch_size
        return self._get_batches_of_transformed_samples(self.index_array[start : start + self.batch_size])

    def __iter__(self) -> Iterator:
        return self

    def __next__(self) -> Any:
        if not self.n:
            raise StopIteration
        batch = self[self.batch_index]
        self.total_batches_seen += 1
        self.batch_index += 1
        if self.batch_index == len(self):
            self.on_epoch_end()
        return batch

    next = __next__

    def on_epoch_end(self) -> None:
        """Begin the next epoch."""
        self._epoch += 1
        self.batch_index = 0

    def reset(self) -> None:
        """Let `next` begin with the epoch's first batch again."""
        self.batch_index = 0

    @property
    def index_array(self) -> np.ndarray:
        """The epoch's order of samples."""
        epoch = self._epoch
        if self._order is None or self._order[0] != epoch:
            order = permutation(self.n, self._key(epoch)) if self.shuffle else np.arange(self.n)
            self._order = (epoch, order)
        return self._order[1]

    def sample_seed(self, sample: int) -> int:
        """The seed of a sample's changes in this epoch."""
        key = np.random.SeedSequence(self._key(self._epoch, 1 + int(sample)))
        return int(key.generate_state(1, np.uint64)[0])

    def _key(self, *numbers: int) -> list[int]:
        return [0 if self.seed is not None else global_seed(), self._stream, *numbers]

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        """The batch of the samples that `index_array` numbers."""
        raise NotImplementedError(f"{type(self).__name__} must implement _get_batches_of_transformed_samples.")

    def _changed(self, generator: Any, x: np.ndarray, sample: int) -> np.ndarray:
        """A sample after the changes that the generator draws for it."""
        parameters = generator.get_random_transform(x.shape, self.sample_seed(sample))
        return generator.standardize(generator.apply_transform(x, parameters))

    def _save(self, images: np.ndarray, samples: Numbers[int], data_format: str) -> None:
        """Write a batch into `save_to_dir`, if that is wanted; ranks that all do so write the same files."""
        if not self.save_to_dir:
            return
        for image, sample in zip(images, samples, strict=True):
            name = f"{self.save_prefix}_{sample}_{self.sample_seed(sample) % 10**7}.{self.save_format}"
            path = os.path.join(self.save_to_dir, name)
            temporary = os.path.join(self.save_to_dir, f".{os.getpid()}.{name}")
            array_to_img(image, data_format, scale=True).save(temporary)
            os.replace(temporary, path)


def split_bounds(count: int, subset: str | None, fraction: float) -> tuple[int, int]:
    """Which of `count` samples belong to a subset: the first `fraction` of them to 'validation'.

    Raises:
        ValueError: It is no subset, or there is nothing to split by.
    """
    if subset is None:
        return 0, count
    if subset not in ("training", "validation"):
        raise ValueError(f'Invalid subset name: {subset!r}; expected "training" or "validation".')
    if not fraction:
        raise ValueError(f"subset={subset!r} needs an ImageDataGenerator with a validation_split, received {fraction}.")
    cut = int(fraction * count)
    return (cut, count) if subset == "training" else (0, cut)


def announce(text: str) -> None:
    """Print `text`, once however many ranks there are."""
    if detect().rank == 0:
        print(text)
