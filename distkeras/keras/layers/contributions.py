"""What a layer adds to training besides its outputs: losses, metrics and updates."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

from distkeras import _config, _nest
from distkeras.core.context import state
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.keras.layers.call_context import call_context
from distkeras.keras.layers.tracking import Tracked, is_metric, unique

# id of a tensor that a metric returned -> (the tensor, the metric): add_metric(metric(x)) needs to know the metric, and
# ranks merge the state of what is logged.
_metric_results: dict[int, tuple[weakref.ref, Any]] = {}


def remembering_metric(result: Callable) -> Callable:
    """The method `result` of a metric, giving tensors of which `metric_of` knows that they are this metric's."""

    @functools.wraps(result)
    def remembering(metric: Any) -> Any:
        tensor = result(metric)
        if _nest.is_nested(tensor):
            return tensor
        tensor = to_tensor(tensor)
        key = id(tensor)
        forget = _metric_results.pop  # bound now: at the interpreter's end the module's names are gone first
        _metric_results[key] = weakref.ref(tensor, lambda _: forget(key, None)), metric
        return tensor

    return remembering


def metric_of(tensor: Any) -> Any:
    """The metric whose result `tensor` is, or None."""
    reference, metric = _metric_results.get(id(tensor), (None, None))
    return metric if reference is not None and reference() is tensor else None


class Contributes(Tracked):
    """Losses, metrics and updates of a layer; base of Layer.

    A loss that is computed in a call belongs to the trace (or, eagerly, to the outermost call) it was computed in. Of
    calls on symbolic tensors there are symbols, which stand for the losses of a call to come.
    """

    _untracked = Tracked._untracked | {"_losses", "_symbolic_losses", "_callable_losses", "_metrics"}

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Add to the loss that training minimizes.

        Args:
            losses: A scalar tensor computed in `call`, a function without arguments that gives one, or a list of them.
            inputs: Accepted for TensorFlow's sake; where a loss comes from is known anyway.

        Raises:
            ValueError: A tensor with a value was given outside of a call, where it would be a constant.

        >>> import distkeras as tf
        >>> class Penalty(tf.keras.layers.Layer):
        ...     def call(self, x):
        ...         self.add_loss(tf.reduce_sum(x) * 0.1)
        ...         return x
        >>> layer = Penalty()
        >>> _ = layer(tf.ones((2, 3)))
        >>> [round(float(loss), 3) for loss in layer.losses]
        [0.6]
        """
        for loss in _nest.flatten(losses):
            if loss is None:
                continue
            if callable(loss) and not isinstance(loss, Tensor):
                self._callable_losses.append(loss)
                continue
            if call_context.layer is None:
                raise ValueError(
                    "add_loss received a tensor with a value outside of a call. "
                    "Expected a symbolic tensor or a callable for the loss value: "
                    "wrap the computation of the loss in a function without arguments."
                )
            tensor = loss if isinstance(loss, Tensor) else to_tensor(loss, _config.floatx())
            self._losses.append((state.trace, tensor))

    def _add_regularizer(self, variable: Any, regularizer: Callable) -> None:
        self._callable_losses.append(functools.partial(regularizer, variable))

    @property
    def losses(self) -> list[Tensor]:
        """The scalar losses of this layer and those inside of it: added ones, and regularizers of weights.

        Before a call those that a call will compute are symbolic.
        """
        layers = list(self._flatten_layers())
        computed = {layer: [loss for trace, loss in layer._losses if trace is state.trace] for layer in layers}
        if state.trace is None and not any(computed.values()):
            computed = {layer: layer._symbolic_losses for layer in layers}
        losses = []
        for layer in layers:
            losses += computed[layer]
            losses += [to_tensor(loss) for function in layer._callable_losses if (loss := function()) is not None]
        return losses

    def _note_symbolic_losses(self, symbol: Callable[[Tensor, str], Tensor]) -> None:
        """Keep a symbol for each loss of a call that computed nothing."""
        for layer in self._flatten_layers():
            layer._symbolic_losses += [symbol(loss, f"{layer.name}/loss") for _, loss in layer._losses]
            layer._losses.clear()

    def _clear_losses(self) -> None:
        """Forget the losses of earlier calls, here and below."""
        for layer in self._flatten_layers():
            layer._losses.clear()

    def get_losses_for(self, inputs: Any) -> list[Tensor]:
        """The losses that depend on inputs, or, for None, those that do not (regularizers of weights)."""
        if inputs is None:
            return [to_tensor(loss()) for layer in self._flatten_layers() for loss in layer._callable_losses]
        return [loss for layer in self._flatten_layers() for trace, loss in layer._losses if trace is state.trace]

    def _handle_activity_regularization(self, outputs: Any) -> None:
        if self.activity_regularizer is None:
            return
        for output in _nest.flatten(outputs):
            # Per sample, as all losses: without samples the loss is 0.
            self.add_loss(to_tensor(self.activity_regularizer(output)) / float(max(output.shape[0], 1)))

    # --- metrics

    def add_metric(self, value: Any, aggregation: str | None = None, name: str | None = None) -> None:
        """Report a tensor computed in `call` beside the loss.

        Args:
            value: The tensor, or the result of calling a metric.
            aggregation: 'mean' over the epoch; None if `value` comes from a metric, which aggregates by itself.
            name: What it is called in logs.

        Raises:
            ValueError: No name, another aggregation, or none where `value` is not a metric's result; or the layer has
                several metrics of that name, of which logs could show one only.
        """
        if aggregation not in (None, "mean"):
            raise ValueError(
                "We currently support only `mean` sample-wise metric aggregation. "
                f"You provided aggregation={aggregation!r}."
            )
        metric = metric_of(value)
        if metric is not None:
            if not any(known is metric for known in self.metrics):
                self._metrics.append(metric)
            alike = sum(known.name == metric.name for known in self._own_metrics())
            if alike > 1:
                raise ValueError(
                    "Please provide different names for the metrics you have added: "
                    f"we found {alike} metrics with the name {metric.name!r} (layer {self.name})."
                )
            return
        if name is None:
            raise ValueError(
                "Please provide a name for your metric, like "
                "`self.add_metric(tf.reduce_sum(inputs), name='mean_activation', aggregation='mean')`."
            )
        if aggregation is None:
            raise ValueError(
                f"add_metric received the tensor {name!r}, which is not the result of calling a metric: "
                "pass aggregation='mean'."
            )
        self._mean_metric(name, value)(value)

    def _mean_metric(self, name: str, value: Any) -> Any:
        for metric in self._metrics:
            if metric.name == name:
                return metric
        from distkeras.keras.metrics import Mean

        self._metrics.append(Mean(name=name, dtype=value.dtype.name))
        return self._metrics[-1]

    @property
    def metrics(self) -> list[Any]:
        """The metrics of this layer and those inside of it."""
        return unique([*self._own_metrics(), *(metric for child in self._sublayers() for metric in child.metrics)])

    def _own_metrics(self) -> list[Any]:
        return unique([*self._metrics, *(child for child in self._children() if is_metric(child))])

    # --- updates

    def add_update(self, updates: Any, inputs: Any = None) -> None:
        """Run functions without arguments that assign to variables, unless a layer around is frozen.

        Assignments made in `call` have happened already; anything that is not a function is therefore left alone.
        """
        if call_context.frozen:
            return
        for update in _nest.flatten(updates):
            if callable(update) and not isinstance(update, Tensor):
                update()

    @property
    def updates(self) -> list[Any]:
        """Always empty: assignments happen where they are written."""
        return []

    def get_updates_for(self, inputs: Any) -> list[Any]:
        """Always empty, as `updates` is, whatever the inputs."""
        return []
