"""`tf.compat.v1.data`: the names of `tf.data`, and functions that say what a dataset or iterator gives."""

from __future__ import annotations

from typing import Any

import distkeras.data
from distkeras import _nest
from distkeras.core.tensor import Tensor
from distkeras.data.dataset.dataset import Dataset, DatasetIterator
from distkeras.data.dataset.structure import DatasetSpec


def __getattr__(name: str) -> Any:
    return getattr(distkeras.data, name)


def get_output_shapes(dataset_or_iterator: Any) -> Any:
    """The shapes of its elements, in their structure."""
    return _nest.map_structure(lambda spec: spec.shape, dataset_or_iterator.element_spec)


def get_output_types(dataset_or_iterator: Any) -> Any:
    """The types of its elements, in their structure."""
    return _nest.map_structure(lambda spec: spec.dtype, dataset_or_iterator.element_spec)


def get_output_classes(dataset_or_iterator: Any) -> Any:
    """The classes of its elements, in their structure."""

    def kind(spec: Any) -> type:
        return Dataset if isinstance(spec, DatasetSpec) else getattr(spec, "value_type", Tensor)

    return _nest.map_structure(kind, dataset_or_iterator.element_spec)


def make_one_shot_iterator(dataset: Dataset) -> DatasetIterator:
    """An iterator over one pass of a dataset."""
    return iter(dataset)
