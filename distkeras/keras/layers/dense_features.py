"""DenseFeatures, which is not available, and says what is."""

from __future__ import annotations

from typing import Any

from distkeras.keras.layers.base import Layer


class DenseFeatures(Layer):
    """Not available: there is no `tf.feature_column`.

    Raises:
        NotImplementedError: Always.
    """

    def __init__(self, feature_columns: Any, trainable: bool = True, name: str | None = None, **kwargs: Any) -> None:
        raise NotImplementedError(
            "DenseFeatures needs tf.feature_column, which is not available. Give each feature an Input of its own, use "
            "Embedding or Lambda(lambda x: tf.one_hot(x, depth)) for categories, and Concatenate them; `fit` takes a "
            "dict of arrays by input name."
        )
