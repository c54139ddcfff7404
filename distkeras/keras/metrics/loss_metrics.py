"""Losses as metrics: the mean of a loss function over everything seen."""

from __future__ import annotations

from typing import Any

from distkeras import ops
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.keras import losses
from distkeras.keras.losses.weighting import match_ranks
from distkeras.keras.metrics.base import METRICS, Mean, MeanMetricWrapper
from distkeras.ops._op import op

METRICS.add("mean_squared_error", losses.mean_squared_error, aliases=("mse", "MSE"))
METRICS.add("mean_absolute_error", losses.mean_absolute_error, aliases=("mae", "MAE"))
METRICS.add("mean_absolute_percentage_error", losses.mean_absolute_percentage_error, aliases=("mape", "MAPE"))
METRICS.add("mean_squared_logarithmic_error", losses.mean_squared_logarithmic_error, aliases=("msle", "MSLE"))
METRICS.add("kullback_leibler_divergence", losses.kullback_leibler_divergence, aliases=("kld", "KLD", "kl_divergence"))
METRICS.add("logcosh", losses.logcosh, aliases=("log_cosh",))
for _loss in (
    losses.binary_crossentropy,
    losses.categorical_crossentropy,
    losses.sparse_categorical_crossentropy,
    losses.hinge,
    losses.squared_hinge,
    losses.categorical_hinge,
    losses.poisson,
):
    METRICS.add(_loss.__name__, _loss)


@METRICS.register(aliases=("cosine_similarity",))
@op
def cosine_proximity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """The cosine of the angle between targets and predictions: 1 for one direction; the loss is its negative."""
    return -losses.cosine_similarity(y_true, y_pred, axis=axis)


@METRICS.register()
class MeanSquaredError(MeanMetricWrapper):
    """Mean of (y_pred - y_true)^2.

    Args:
        name: The metric's name.
        dtype: The element type of its state.
    """

    def __init__(self, name: str = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_squared_error, name, dtype)


@METRICS.register()
class RootMeanSquaredError(Mean):
    """Square root of the mean of (y_pred - y_true)^2.

    Args:
        name: The metric's name.
        dtype: The element type of its state.

    >>> import distkeras as tf
    >>> float(tf.keras.metrics.RootMeanSquaredError()([2.0, 4.0, 6.0], [1.0, 3.0, 2.0]).numpy().round(4))
    2.4495...
    """

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of targets and predictions, with a weight for each."""
        y_true, y_pred = match_ranks(self.cast(y_true), self.cast(y_pred))
        super().update_state(ops.squared_difference(y_pred, y_true), sample_weight)

    def result(self) -> Tensor:
        """The root of the mean so far."""
        return ops.sqrt(super().result())


@METRICS.register()
class MeanAbsoluteError(MeanMetricWrapper):
    """Mean of |y_pred - y_true|.

    Args:
        name: The metric's name.
        dtype: The element type of its state.
    """

    def __init__(self, name: str = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_absolute_error, name, dtype)


@METRICS.register()
class MeanAbsolutePercentageError(MeanMetricWrapper):
    """Mean absolute error in per cent of the targets.

    Args:
        name: The metric's name.
        dtype: The element type of its state.
    """

    def __init__(self, name: str = "mean_absolute_percentage_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_absolute_percentage_error, name, dtype)


@METRICS.register()
class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """Mean squared difference of logarithms.

    Args:
        name: The metric's name.
        dtype: The element type of its state.
    """

    def __init__(self, name: str = "mean_squared_logarithmic_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_squared_logarithmic_error, name, dtype)


@METRICS.register()
class MeanRelativeError(Mean):
    """Mean of |y_pred - y_true| / normalizer; 0 where the normalizer is 0.

    Args:
        normalizer: Numbers of the predictions' shape.
        name: The metric's name.
        dtype: The element type of its state.
    """

    def __init__(self, normalizer: Any, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.normalizer = self.cast(normalizer)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of targets and predictions, with a weight for each."""
        y_true, y_pred = match_ranks(self.cast(y_true), self.cast(y_pred))
        _, normalizer = match_ranks(y_true, self.normalizer)
        super().update_state(ops.divide_no_nan(ops.abs(y_true - y_pred), normalizer), sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "normalizer": to_tensor(self.normalizer).numpy().tolist()}


@METRICS.register()
class CosineSimilarity(MeanMetricWrapper):
    """Mean cosine of the angle between targets and predictions.

    Args:
        name: The metric's name.
        dtype: The element type of its state.
        axis: The axis of the vectors.
    """

    def __init__(self, name: str = "cosine_similarity", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(cosine_proximity, name, dtype, axis=axis)


@METRICS.register()
class LogCoshError(MeanMetricWrapper):
    """Mean logarithm of the hyperbolic cosine of the error.

    Args:
        name: The metric's name.
        dtype: The element type of its state.
    """

    def __init__(self, name: str = "logcosh", dtype: Any = None) -> None:
        super().__init__(losses.logcosh, name, dtype)


@METRICS.register()
class Poisson(MeanMetricWrapper):
    """Mean of y_pred - y_true * log(y_pred).

    Args:
        name: The metric's name.
        dtype: The element type of its state.
    """

    def __init__(self, name: str = "poisson", dtype: Any = None) -> None:
        super().__init__(losses.poisson, name, dtype)


@METRICS.register()
class KLDivergence(MeanMetricWrapper):
    """Mean Kullback-Leibler divergence of the predictions from the targets.

    Args:
        name: The metric's name.
        dtype: The element type of its state.
    """

    def __init__(self, name: str = "kullback_leibler_divergence", dtype: Any = None) -> None:
        super().__init__(losses.kullback_leibler_divergence, name, dtype)


@METRICS.register()
class Hinge(MeanMetricWrapper):
    """Mean hinge loss of targets -1 and 1 (or 0 and 1).

    Args:
        name: The metric's name.
        dtype: The element type of its state.
    """

    def __init__(self, name: str = "hinge", dtype: Any = None) -> None:
        super().__init__(losses.hinge, name, dtype)


@METRICS.register()
class SquaredHinge(MeanMetricWrapper):
    """Mean squared hinge loss of targets -1 and 1 (or 0 and 1).

    Args:
        name: The metric's name.
        dtype: The element type of its state.
    """

    def __init__(self, name: str = "squared_hinge", dtype: Any = None) -> None:
        super().__init__(losses.squared_hinge, name, dtype)


@METRICS.register()
class CategoricalHinge(MeanMetricWrapper):
    """Mean hinge loss between the right class and the best wrong one.

    Args:
        name: The metric's name.
        dtype: The element type of its state.
    """

    def __init__(self, name: str = "categorical_hinge", dtype: Any = None) -> None:
        super().__init__(losses.categorical_hinge, name, dtype)


@METRICS.register()
class BinaryCrossentropy(MeanMetricWrapper):
    """Mean cross-entropy of yes-or-no targets.

    Args:
        name: The metric's name.
        dtype: The element type of its state.
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: How much of each target is replaced by 1/2.
    """

    def __init__(
        self,
        name: str = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__(
            losses.binary_crossentropy, name, dtype, from_logits=from_logits, label_smoothing=label_smoothing
        )


@METRICS.register()
class CategoricalCrossentropy(MeanMetricWrapper):
    """Mean cross-entropy of targets that give each class a probability.

    Args:
        name: The metric's name.
        dtype: The element type of its state.
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: How much of each target is spread evenly over the classes.
    """

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__(
            losses.categorical_crossentropy, name, dtype, from_logits=from_logits, label_smoothing=label_smoothing
        )


@METRICS.register()
class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """Mean cross-entropy of integer labels.

    Args:
        name: The metric's name.
        dtype: The element type of its state.
        from_logits: Whether predictions are logits rather than probabilities.
        axis: The axis of the classes.
    """

    def __init__(
        self,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(losses.sparse_categorical_crossentropy, name, dtype, from_logits=from_logits, axis=axis)
