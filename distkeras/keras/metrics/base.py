"""What a metric is: state that batches are added to, and a result computed from it; and how metrics are found by name.

State, never results, is what ranks merge: variables are summed over ranks (`merge = "sum"`) before `result` reads them;
in loops of one's own too, where every rank must ask for the result.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from distkeras import _config, ops
from distkeras._registry import Registry
from distkeras.core import context
from distkeras.core.spec import as_dtype
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.core.variable import Variable, VariableSynchronization
from distkeras.distribute.replica import StrategyReplica
from distkeras.distribute.strategies import get_strategy
from distkeras.keras import initializers
from distkeras.keras.layers.base import Layer
from distkeras.keras.layers.contributions import remembering_metric
from distkeras.keras.losses.base import known_settings
from distkeras.keras.losses.weighting import match_ranks, match_weights, weights_fit
from distkeras.keras.saving.serialize import deserialize_keras_object, serialize_keras_object

METRICS = Registry("metric function")


class Metric(Layer):
    """Base of metrics; subclasses define `update_state` and `result`, in tensor operations.

    Args:
        name: The metric's name in logs.
        dtype: The element type of its state; the default one of Keras if not given.

    Attributes:
        merge: How ranks merge state: 'sum' for counts and sums; 'last' for state that is the same on all ranks.

    >>> import distkeras as tf
    >>> class Positives(tf.keras.metrics.Metric):
    ...     def __init__(self, name="positives", **kwargs):
    ...         super().__init__(name=name, **kwargs)
    ...         self.count = self.add_weight(name="count", initializer="zeros")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.count.assign_add(tf.reduce_sum(tf.cast(y_true, "float32")))
    ...     def result(self):
    ...         return self.count
    >>> float(Positives()([1, 0, 1], [0, 0, 0]))
    2.0
    """

    merge = "sum"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "result" in vars(cls):
            cls.result = remembering_metric(_over_all_ranks(cls.result))

    def __init__(self, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(name=name, dtype=as_dtype(dtype or _config.floatx()).name, **kwargs)
        self.stateful = True
        self.built = True
        self._strategy = get_strategy()

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """Add a batch and return the result so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Add a batch to the state."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state().")

    def result(self) -> Tensor:
        """The metric's value, from the state."""
        raise NotImplementedError(f"{type(self).__name__} must define result().")

    def reset_states(self) -> None:
        """Set all state to zero."""
        for variable in self._own_weights:
            variable.fill(0)

    def add_weight(
        self,
        name: str | None = None,
        shape: Any = (),
        aggregation: Any = None,
        synchronization: Any = None,
        initializer: Any = None,
        dtype: Any = None,
    ) -> Variable:
        """A state variable.

        Args:
            name: Its name.
            shape: Its shape.
            aggregation: How ranks merge it where the metric's `merge` is 'sum': 'SUM' (the default), 'MEAN' or
                'ONLY_FIRST_REPLICA', or the `tf.VariableAggregation` of that name.
            synchronization: Accepted as TensorFlow does: state is merged when it is read.
            initializer: What it starts with; zeros by default.
            dtype: Its element type, the metric's by default.

        Raises:
            ValueError: The aggregation is another one.
        """
        return super().add_weight(
            name=name,
            shape=tuple(shape),
            dtype=self.dtype if dtype is None else dtype,
            initializer=initializers.get("zeros" if initializer is None else initializer),
            trainable=False,
            synchronization=VariableSynchronization.ON_READ,
            aggregation=merging_of(aggregation),
        )

    def part_of_state(self, variable: Variable, rank: int, ranks: int) -> Tensor:
        """What this rank adds to the merged value of a state variable."""
        value, how = variable.value(), merging_of(variable.aggregation)
        if how == "SUM":
            return value
        return value * ops.constant(1 / ranks if how == "MEAN" else rank == 0, value.dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"name": self.name, "dtype": as_dtype(self.dtype).name}

    def cast(self, value: Any) -> Tensor:
        """A tensor of the metric's element type."""
        return ops.cast(to_tensor(value), self.dtype)


def merged_states(metrics: Iterable[Metric], strategy: Any) -> dict[Variable, Tensor]:
    """The state of metrics, merged over the ranks of a strategy: all of them must call this."""
    parts = state_parts(metrics, strategy)
    return dict(zip(parts, strategy.all_sum(list(parts.values())), strict=True))


def state_parts(metrics: Iterable[Metric], strategy: Any) -> dict[Variable, Tensor]:
    """What this rank adds to the state of metrics, which is to be summed over the ranks."""
    place = strategy.replicas.rank, strategy.num_replicas_in_sync
    return {v: metric.part_of_state(v, *place) for metric in metrics if metric.merge == "sum" for v in metric.weights}


def _over_all_ranks(result: Callable) -> Callable:
    """The method `result`, which gives the value for all ranks when it is called outside of their steps."""

    @functools.wraps(result)
    def merging(metric: Metric) -> Any:
        strategy = metric._strategy
        in_step = isinstance(context.state.replica, StrategyReplica)
        if strategy.num_replicas_in_sync == 1 or in_step or context.state.overrides:
            return result(metric)
        with context.reading(merged_states([metric], strategy)):
            return result(metric)

    return merging


def merging_of(aggregation: Any) -> str:
    """'SUM', which is what None and NONE mean, 'MEAN' or 'ONLY_FIRST_REPLICA'."""
    how = str(getattr(aggregation, "name", aggregation)).upper()
    how = "SUM" if how == "NONE" else how
    if how not in ("SUM", "MEAN", "ONLY_FIRST_REPLICA"):
        raise ValueError(
            f"The state of a metric is merged by 'SUM', 'MEAN' or 'ONLY_FIRST_REPLICA', received {aggregation!r}."
        )
    return how


class _Reduce(Metric):
    """State and update shared by Sum and Mean: the weighted total."""

    def __init__(self, name: str | None, dtype: Any) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_weight("total", initializer="zeros")

    def _add(self, values: Any, sample_weight: Any, reduce: Callable) -> tuple[Tensor, Tensor | None]:
        """Add the weighted values to the total; returns values, and weights of their shape or None.

        Weights with fewer dimensions than the values belong to groups of values, which `reduce` makes one of.
        """
        values = self.cast(values)
        weights = None
        if sample_weight is not None:
            weights = match_weights(self.cast(sample_weight), values)
            if not weights_fit(weights, values):
                values = reduce(values, axis=list(range(len(weights.shape), len(values.shape))))
                if not weights_fit(weights, values):
                    raise ValueError(
                        f"{self.name}: sample_weight of shape {weights.shape} cannot be broadcast to values of shape "
                        f"{values.shape}."
                    )
            weights = ops.broadcast_to(weights, values.shape)
        self.total.assign_add(ops.reduce_sum(values if weights is None else values * weights))
        return values, weights


@METRICS.register()
class Sum(_Reduce):
    """The weighted sum of the given values.

    Args:
        name: The metric's name.
        dtype: The element type of its state.

    >>> import distkeras as tf
    >>> float(tf.keras.metrics.Sum()([1.0, 3.0, 5.0], sample_weight=[1.0, 1.0, 0.0]))
    4.0
    """

    def __init__(self, name: str = "sum", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values, each times its weight."""
        self._add(values, sample_weight, ops.reduce_sum)

    def result(self) -> Tensor:
        """The sum so far."""
        return ops.identity(self.total)


@METRICS.register()
class Mean(_Reduce):
    """The weighted mean of the given values; 0 before any.

    Args:
        name: The metric's name.
        dtype: The element type of its state.

    >>> import distkeras as tf
    >>> mean = tf.keras.metrics.Mean()
    >>> mean.update_state([1.0, 3.0])
    >>> mean.update_state(5.0)
    >>> float(mean.result())
    3.0
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.count = self.add_weight("count", initializer="zeros")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values with their weights, 1 by default."""
        values, weights = self._add(values, sample_weight, _mean)
        size = float(values.shape.num_elements())
        self.count.assign_add(size if weights is None else ops.reduce_sum(weights))

    def result(self) -> Tensor:
        """The mean so far."""
        return ops.divide_no_nan(self.total, self.count)


def _mean(values: Tensor, axis: list[int]) -> Tensor:
    """The mean over axes that may be empty."""
    return ops.reduce_sum(values, axis=axis) * (1.0 / max(1, math.prod(values.shape[i] for i in axis)))


class MeanMetricWrapper(Mean):
    """The mean of a function of targets and predictions.

    Args:
        fn: (y_true, y_pred, **kwargs) -> values, such as a loss function.
        name: The metric's name.
        dtype: The element type of its state.
        **kwargs: Passed to the function.
    """

    def __init__(self, fn: Callable[..., Tensor], name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(name, dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Args:
            y_true: Targets.
            y_pred: Predictions.
            sample_weight: A factor for each sample, or for each value of the function.
        """
        y_true, y_pred = match_ranks(self.cast(y_true), self.cast(y_pred))
        super().update_state(self._fn(y_true, y_pred, **self._fn_kwargs), sample_weight)

    def get_config(self) -> dict[str, Any]:
        own = {"fn": serialize(self._fn)} if type(self) is MeanMetricWrapper else {}
        return {**super().get_config(), **self._fn_kwargs, **own}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> MeanMetricWrapper:
        """The inverse of `get_config`; a subclass has its function without being told."""
        settings = dict(config)
        fn = settings.pop("fn", None)
        return cls(fn=get(fn), **settings) if cls is MeanMetricWrapper else cls(**known_settings(cls, settings))


@METRICS.register()
class MeanTensor(Metric):
    """The weighted mean, element by element, of tensors of one shape.

    Args:
        name: The metric's name.
        dtype: The element type of its state.
    """

    def __init__(self, name: str = "mean_tensor", dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self._shape: tuple[int, ...] | None = None

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add a tensor; weights are broadcast to it.

        Raises:
            ValueError: Its shape is not that of the tensors before.
        """
        values = self.cast(values)
        if self._shape is None:
            self._shape = tuple(values.shape)
            self._total = self.add_weight("total", self._shape)
            self._count = self.add_weight("count", self._shape)
        if tuple(values.shape) != self._shape:
            raise ValueError(f"MeanTensor: expected values of shape {self._shape}, received shape {values.shape}.")
        weights = ops.ones_like(values)
        if sample_weight is not None:
            weights = ops.broadcast_to(match_weights(self.cast(sample_weight), values), values.shape)
        self._total.assign_add(values * weights)
        self._count.assign_add(weights)

    @property
    def total(self) -> Variable | None:
        """The weighted sum of the tensors; None before the first."""
        return None if self._shape is None else self._total

    @property
    def count(self) -> Variable | None:
        """The sum of the weights; None before the first tensor."""
        return None if self._shape is None else self._count

    def result(self) -> Tensor:
        """The mean so far.

        Raises:
            ValueError: No tensor was added yet.
        """
        if self._shape is None:
            raise ValueError("MeanTensor does not have any result yet. Please call the MeanTensor instance first.")
        return ops.divide_no_nan(self._total, self._count)


def serialize(metric: Any) -> Any:
    """What stands for a metric in a config: its function's name, or class name and config."""
    return serialize_keras_object(metric)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The metric that a config stands for."""
    return deserialize_keras_object(config, METRICS, custom_objects, "metric function")


def get(identifier: Any) -> Any:
    """The metric meant by a name, a config, a function or a Metric itself, or None.

    Raises:
        ValueError: There is no such metric.
    """
    return deserialize(identifier)
