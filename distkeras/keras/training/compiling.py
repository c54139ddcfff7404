"""`compile`, and the metrics of a compiled model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from distkeras.keras import optimizers
from distkeras.keras.mixed_precision.loss_scale import copy_of
from distkeras.keras.optimizers.loss_scale_optimizer import LossScaleOptimizer
from distkeras.keras.training.compile import BATCH_LOSS, Compiled
from distkeras.keras.training.containers import CompiledLoss, CompiledMetrics


class Compilable:
    """The part of a model that says how it is trained."""

    _compiled: Compiled | None = None
    _run_eagerly: bool | None = None
    _trainable_state: Mapping[Any, bool] = {}
    optimizer: Any = None
    loss: Any = None
    loss_weights: Any = None
    sample_weight_mode: Any = None
    train_function: Any = None
    test_function: Any = None
    predict_function: Any = None
    # In words, once debug mode has found it: where the first NaN or infinity of training came from.
    _non_finite_origin: str = ""

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
        sample_weight_mode: Any = None,
        weighted_metrics: Any = None,
        target_tensors: Any = None,
        distribute: Any = None,
        **kwargs: Any,
    ) -> None:
        """Say how the model is to be trained.

        Args:
            optimizer: Name of an optimizer, or one.
            loss: Name of a loss, function (y_true, y_pred) -> losses, or `tf.keras.losses.Loss`. For several outputs
                a list or a dict by output name; the sum of all is minimized.
            metrics: List of metrics: names, functions or `tf.keras.metrics.Metric`; for several outputs also a list of
                lists or a dict by output name.
            loss_weights: Factors of the outputs' losses, a list or dict by output name.
            sample_weight_mode: 'temporal' for weights per timestep, None for weights per sample; for several outputs
                also a list or dict.
            weighted_metrics: Metrics that take account of sample and class weights.
            target_tensors: Targets that need not be given to `fit` or `evaluate`; for several outputs a list or dict.
            distribute: Not in TensorFlow 2.0: make and compile the model in a strategy's scope.
            **kwargs: `run_eagerly`: True runs steps op by op, False insists on compiled steps, None compiles where
                possible. `experimental_run_tf_function` is accepted.

        Raises:
            ValueError: Something is unknown or does not go together.
            TypeError: An unknown argument, or one in a form that cannot be understood.
        """
        if distribute is not None:
            raise ValueError(
                "Distribute argument in compile is not available in TF 2.0: make and compile the model inside of "
                "`with strategy.scope():`."
            )
        run_eagerly = kwargs.pop("run_eagerly", None)
        kwargs.pop("experimental_run_tf_function", None)
        if kwargs:
            raise TypeError(f"Invalid keyword argument(s) in `compile`: {sorted(kwargs)}.")
        self._check_can_compile(run_eagerly)
        optimizer = self._scaled(optimizers.get(optimizer))
        compiled = Compiled(
            loss,
            metrics,
            loss_weights,
            sample_weight_mode,
            weighted_metrics,
            target_tensors,
            has_own_steps=self._has_own_step("train"),
        )
        if self._known_outputs() is not None:
            compiled.bind(*self._known_outputs())
        self.optimizer = optimizer
        self.loss, self.loss_weights, self.sample_weight_mode = loss, loss_weights, sample_weight_mode
        self._compiled, self._run_eagerly = compiled, run_eagerly
        self.__dict__["_trainable_state"] = {layer: layer._trainable for layer in self._flatten_layers()}
        self.train_function = self.test_function = self.predict_function = None
        self.__dict__["_runners"], self.__dict__["_known_forms"] = {}, {}

    def _check_can_compile(self, run_eagerly: Any) -> None:
        if run_eagerly not in (None, True, False):
            raise ValueError(f"`run_eagerly` must be True, False or None, received {run_eagerly!r}.")
        if run_eagerly is False and getattr(self, "dynamic", False):
            raise ValueError(
                "The model contains layers that can only be run eagerly (made with `dynamic=True`). You cannot set "
                "`run_eagerly=False`."
            )

    def _scaled(self, optimizer: Any) -> Any:
        """The optimizer, with the loss scale of the model's policy if that has one."""
        scale = self._policy.loss_scale
        if scale is None or isinstance(optimizer, LossScaleOptimizer):
            return optimizer
        return LossScaleOptimizer(optimizer, copy_of(scale))

    @property
    def compiled(self) -> Compiled:
        """What the model was compiled with; RuntimeError if it was not."""
        if self._compiled is None:
            raise RuntimeError(
                "You must compile your model before training/testing. Use `model.compile(optimizer, loss)`."
            )
        return self._compiled

    @property
    def run_eagerly(self) -> bool:
        """Whether steps run op by op, so that they can be looked into; settable."""
        return bool(self._run_eagerly) or bool(getattr(self, "dynamic", False))

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        self._check_can_compile(value)
        self._run_eagerly = value
        self.__dict__["_runners"] = {}

    @property
    def _wants_plan(self) -> bool:
        """Whether a step that cannot be compiled is an error, and not run op by op instead."""
        return self._run_eagerly is False

    @contextlib.contextmanager
    def _trainable_as_compiled(self) -> Iterator[None]:
        """What was trainable when the model was compiled is trainable inside, whatever was frozen since.

        So a discriminator that was compiled before it was frozen is trained by itself, and is left alone as a part of a
        model that was compiled afterwards.
        """
        before = [(layer, layer._trainable) for layer in self._trainable_state]
        for layer, trainable in self._trainable_state.items():
            object.__setattr__(layer, "_trainable", trainable)
        try:
            yield
        finally:
            for layer, trainable in before:
                object.__setattr__(layer, "_trainable", trainable)

    # --- metrics

    @property
    def metrics(self) -> list:
        """The metrics of `compile` and of `add_metric`."""
        compiled = [] if self._compiled is None else self._compiled.metrics
        return [*compiled, *(metric for metric in super().metrics if not any(metric is known for known in compiled))]

    @property
    def compiled_loss(self) -> CompiledLoss | None:
        """The loss, for a `train_step` of one's own: `compiled_loss(y, y_pred, sample_weight, model.losses)`."""
        return None if self._compiled is None else CompiledLoss(self._compiled)

    @property
    def compiled_metrics(self) -> CompiledMetrics | None:
        """The metrics, for a `train_step` of one's own: `compiled_metrics.update_state(y, y_pred, sample_weight)`."""
        return None if self._compiled is None else CompiledMetrics(self._compiled)

    @property
    def _step_metrics(self) -> list:
        """All metrics that steps update: the loss and the outputs' losses included."""
        compiled = [] if self._compiled is None else self._compiled.state
        return [*compiled, *(metric for metric in self.metrics if not any(metric is known for known in compiled))]

    @property
    def metrics_names(self) -> list[str]:
        """The names of what `evaluate` and `train_on_batch` return, in order."""
        if self._compiled is None:
            return ["loss"]
        names = (metric.name for metric in self._step_metrics if metric.name != BATCH_LOSS)
        return list(dict.fromkeys(names))

    @property
    def sample_weights(self) -> list:
        """None for each output that takes targets: weights are given with the data."""
        return [] if self._compiled is None else [None] * len(self._compiled.trained)

    def reset_metrics(self) -> None:
        """Let all metrics begin anew."""
        for metric in self._step_metrics:
            metric.reset_states()

    def _known_outputs(self) -> tuple[list[str], list[tuple]] | None:
        """Names and shapes of the outputs; None for a model that only has them once it is called."""
        outputs = getattr(self, "outputs", None)
        if not outputs:
            return None
        return list(self.output_names), [tuple(output.shape) for output in outputs]
