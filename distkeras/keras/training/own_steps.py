"""The steps of a model, which its class may define in its own way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from distkeras.keras.training import step


class OwnSteps:
    """Training, evaluation and prediction on one batch, and the functions that call them: to be overridden at will."""

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step of training.

        Args:
            data: (x, y, sample_weight) or (x, y), holding this rank's rows of the global batch; x where there is
                nothing else.

        Returns:
            What is to be logged, by name.
        """
        return step.train_step(self, data)

    def test_step(self, data: Any) -> dict[str, Any]:
        """One step of evaluation; see `train_step`."""
        return step.test_step(self, data)

    def predict_step(self, data: Any) -> Any:
        """One step of prediction: the outputs for `data`."""
        return step.predict_step(self, data)

    def make_train_function(self) -> Callable[[Iterator], dict[str, Any]]:
        """The function that runs one step of training on the next item of an iterator.

        It is made once after `compile`; like `train_step` it is compiled where possible, and runs on every rank.
        """
        return lambda iterator: self.train_step(next(iterator))

    def make_test_function(self) -> Callable[[Iterator], dict[str, Any]]:
        """The function that runs one step of evaluation; see `make_train_function`."""
        return lambda iterator: self.test_step(next(iterator))

    def make_predict_function(self) -> Callable[[Iterator], Any]:
        """The function that runs one step of prediction; see `make_train_function`."""
        return lambda iterator: self.predict_step(next(iterator))

    def _has_own_step(self, kind: str) -> bool:
        names = (f"{kind}_step", f"make_{kind}_function")
        return any(getattr(type(self), name) is not getattr(OwnSteps, name) for name in names)
