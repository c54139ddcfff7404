"""The hooks of training: `Callback`, which users subclass, and the list that the training loop calls.

Every rank calls every hook, with the same logs. What a callback writes or prints it does on rank 0 only
(`self._writes`), and what it decides it decides from rank 0's numbers (`self._agree`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from distkeras.distribute import timeline

Logs = dict[str, Any] | None


class Callback:
    """Base class of all callbacks: override the hooks you need.

    Attributes:
        params: Dict with 'batch_size', 'epochs', 'steps', 'samples', 'verbose', 'do_validation' and 'metrics'.
        model: The model that is trained; setting `self.model.stop_training = True` ends the training.
        state_names: Of a class, the attributes that a `BackupAndRestore` saves and restores for its callbacks.

    The logs of a batch hold 'batch' and 'size', and at its end the batch's loss and the metrics so far; those of an
    epoch's end hold the epoch's loss and metrics, and the same with 'val_' before their names if there was validation.

    >>> class PrintLoss(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(f"epoch {epoch}: {logs['loss']:.2f}")
    >>> PrintLoss().on_epoch_end(3, {"loss": 0.5})
    epoch 3: 0.50
    """

    state_names: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.validation_data = None
        self.model: Any = None
        self.params: dict[str, Any] = {}

    def set_params(self, params: dict[str, Any]) -> None:
        """Called before the run begins."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called before the run begins."""
        self.model = model

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Before an epoch of training; epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """After an epoch of training and its validation; what is added to `logs` appears in the history."""

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """An older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """An older name of `on_train_batch_end`."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a step of training."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a step of training."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a step of evaluation, also of validation during training."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a step of evaluation."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a step of prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a step of prediction; `logs['outputs']` holds its outputs."""

    def on_train_begin(self, logs: Logs = None) -> None:
        """Before training."""

    def on_train_end(self, logs: Logs = None) -> None:
        """After training."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """Before evaluation, also before validation during training."""

    def on_test_end(self, logs: Logs = None) -> None:
        """After evaluation."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Before prediction."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """After prediction."""

    # --- interrupted training

    def get_state(self) -> dict[str, Any]:
        """What a training that is taken up again must know: the attributes in `state_names`, or what you return.

        Numbers, texts, None, arrays, and lists, tuples and dicts of these; of several ranks that of rank 0 is saved.
        """
        return {name: getattr(self, name) for name in self.state_names}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take over what `get_state` gave; called after `on_train_begin`, in an epoch also after `on_epoch_begin`."""
        for name, value in state.items():
            setattr(self, name, value)

    # --- ranks

    @property
    def _strategy(self) -> Any:
        return getattr(self.model, "distribute_strategy", None)

    @property
    def _writes(self) -> bool:
        """Whether this rank is the one that writes files and prints."""
        return self._strategy is None or self._strategy.rank == 0

    def _agree(self, value: Any) -> Any:
        """Rank 0's value, on every rank; all ranks must call."""
        return value if self._strategy is None else self._strategy.agree(value)

    def _print(self, text: str) -> None:
        if self._writes:
            print(text)


class CallbackList:
    """Callbacks called together, in order.

    Args:
        callbacks: Callbacks, one alone, or None.

    Raises:
        TypeError: Something in it is not a callback.
    """

    def __init__(self, callbacks: Iterable[Any] | Callback | None = None) -> None:
        if callbacks is None:
            callbacks = []
        elif isinstance(callbacks, (Callback, CallbackList)):
            callbacks = list(callbacks) if isinstance(callbacks, CallbackList) else [callbacks]
        elif not isinstance(callbacks, Iterable):
            raise TypeError(
                f"Expected `callbacks` to be a list of tf.keras.callbacks.Callback, received {callbacks!r}."
            )
        self.callbacks: list[Any] = []
        for callback in callbacks:
            self.append(callback)
        self.params: dict[str, Any] = {}
        self.model: Any = None
        self._listeners: dict[str, list] = {}

    def append(self, callback: Any) -> None:
        """Add a callback at the end."""
        if isinstance(callback, type) or not (hasattr(callback, "set_model") and hasattr(callback, "on_epoch_end")):
            raise TypeError(
                "Expected `callbacks` to hold instances of tf.keras.callbacks.Callback, received "
                f"{callback!r} of type {type(callback).__name__}."
            )
        self.callbacks.append(callback)
        self._listeners = {}

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Let all callbacks know about the run."""
        self.params = dict(params)
        for callback in self.callbacks:
            callback.set_params(self.params)

    def set_model(self, model: Any) -> None:
        """Let all callbacks know the model."""
        self.model = model
        for callback in self.callbacks:
            callback.set_model(model)

    def listens(self, hook: str) -> bool:
        """Whether a callback does anything at a hook, given by its name."""
        if hook not in self._listeners:
            self._listeners[hook] = [callback for callback in self.callbacks if _listens(callback, hook)]
        return bool(self._listeners[hook])

    def call(self, hook: str, *args: Any) -> None:
        """Call a hook of every callback by name; a callback without it is passed over.

        Args:
            hook: Such as 'on_epoch_end'.
            *args: Its arguments; logs that are missing or None become an empty dict.
        """
        if not self.listens(hook):
            return
        numbered = "batch" in hook or "epoch" in hook
        args = (*args, None)[: 2 if numbered else 1]
        args = (*args[:-1], {} if args[-1] is None else args[-1])
        with timeline.current().span("callbacks", hook):
            for callback in self._listeners[hook]:
                getattr(callback, hook)(*args)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.callbacks)

    def __len__(self) -> int:
        return len(self.callbacks)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("on_"):
            return lambda *args, **kwargs: self.call(name, *args, *kwargs.values())
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _listens(callback: Any, hook: str) -> bool:
    """Whether a callback does anything at a hook: what it inherits from Callback does nothing."""
    if not isinstance(callback, Callback) or type(callback).__getattribute__ is not object.__getattribute__:
        return hasattr(callback, hook)
    names = {hook, hook.replace("train_batch", "batch")}  # on_train_batch_end calls on_batch_end
    return any(
        name in vars(callback) or getattr(type(callback), name, None) is not getattr(Callback, name, None)
        for name in names
    )
