"""Models as scikit-learn's estimators, for its cross-validation and searches; scikit-learn itself is not needed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from distkeras.keras.losses import CategoricalCrossentropy, categorical_crossentropy
from distkeras.keras.models import Model
from distkeras.keras.utils.np_utils import to_categorical


class BaseWrapper:
    """What `KerasClassifier` and `KerasRegressor` have in common.

    Args:
        build_fn: A function, or an object with `__call__`, that returns a compiled model. None in subclasses that
            define `__call__` themselves.
        **sk_params: Arguments of `build_fn`, and of `Model.fit`, `predict` and `evaluate`; a search may change them.

    Raises:
        ValueError: None of these takes an argument of that name, or there is nothing that makes a model.
    """

    def __init__(self, build_fn: Callable[..., Model] | None = None, **sk_params: Any) -> None:
        self.build_fn = build_fn
        self.sk_params = sk_params
        self.check_params(sk_params)

    def check_params(self, params: Mapping[str, Any]) -> None:
        """Raise ValueError if a name is no argument of `build_fn`, `Model.fit`, `predict` or `evaluate`."""
        if "build_fn" in params:
            raise ValueError("build_fn is no parameter of itself: pass it by set_params(build_fn=...).")
        takers = (Model.fit, Model.predict, Model.evaluate, self._builder)
        for name in params:
            if not any(_takes(function, name) for function in takers):
                raise ValueError(
                    f"{name} is not a legal parameter: expected an argument of build_fn, or of the model's fit, "
                    "predict or evaluate."
                )

    def get_params(self, **params: Any) -> dict[str, Any]:
        """All parameters, `build_fn` among them; what scikit-learn passes (`deep`) changes nothing."""
        return {**self.sk_params, "build_fn": self.build_fn}

    def set_params(self, **params: Any) -> BaseWrapper:
        """Change parameters; the estimator itself is returned.

        Raises:
            ValueError: A name is not one of a parameter.
        """
        own = {name: value for name, value in params.items() if name != "build_fn"}
        self.check_params(own)
        self.build_fn = params.get("build_fn", self.build_fn)
        self.sk_params.update(own)
        return self

    def filter_sk_params(self, fn: Callable, override: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The parameters that `fn` takes, with those of `override` in their place."""
        return {**{k: v for k, v in self.sk_params.items() if _takes(fn, k)}, **(override or {})}

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Build a new model and train it.

        Args:
            x: Samples [n, ...].
            y: Their targets [n, ...]; labels become one-hot rows if the model's loss is categorical_crossentropy.
            **kwargs: Arguments of `Model.fit`, which win over the estimator's parameters.

        Returns:
            The `History` of `Model.fit`.
        """
        builder = self._builder
        self.model = builder(**self.filter_sk_params(builder))
        return self.model.fit(x, self._targets(y), **self.filter_sk_params(Model.fit, kwargs))

    @property
    def _builder(self) -> Callable[..., Model]:
        if self.build_fn is not None:
            return self.build_fn
        if not callable(self):
            raise ValueError(
                f"{type(self).__name__} needs build_fn, a function that returns a compiled model; or derive a class "
                "from it that has such a method as __call__."
            )
        return self.__call__

    def _targets(self, y: Any) -> Any:
        loss = self.model.loss
        of_rows = (
            loss in ("categorical_crossentropy", categorical_crossentropy)
            if isinstance(loss, str) or inspect.isroutine(loss)
            else isinstance(loss, CategoricalCrossentropy)
        )
        return to_categorical(y) if of_rows and np.ndim(y) != 2 else y


class KerasClassifier(BaseWrapper):
    """A model as a classifier.

    Args:
        build_fn: Returns a compiled model whose output is the probability of each class, or of the second of two.
        **sk_params: Arguments of `build_fn`, and of `Model.fit`, `predict` and `evaluate`.

    Attributes:
        classes_: The labels, sorted.
        n_classes_: How many there are.

    >>> import distkeras as tf
    >>> def build(units=4):
    ...     layers = [tf.keras.layers.Dense(units, "relu"), tf.keras.layers.Dense(1, "sigmoid")]
    ...     model = tf.keras.Sequential(layers)
    ...     model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    ...     return model
    >>> classifier = KerasClassifier(build, units=2, epochs=1, verbose=0)
    >>> history = classifier.fit(np.ones((4, 3)), np.array(["no", "yes", "no", "no"]))
    >>> classifier.classes_.tolist(), classifier.predict_proba(np.ones((2, 3))).shape
    (['no', 'yes'], (2, 2))
    """

    _estimator_type = "classifier"  # how scikit-learn before 1.6 knows it

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Build a new model and train it; see `BaseWrapper.fit`.

        Args:
            x: Samples [n, ...].
            y: Labels of any kind [n] or [n, 1], or one-hot rows [n, classes].
            **kwargs: Arguments of `Model.fit`.

        Raises:
            ValueError: y has another shape.
        """
        y = np.asarray(y)
        if y.ndim not in (1, 2):
            raise ValueError(f"Invalid shape for y: expected [n], [n, 1] or [n, classes], received {y.shape}.")
        one_hot = y.ndim == 2 and y.shape[1] > 1
        self.classes_ = np.arange(y.shape[1]) if one_hot else np.unique(y)
        self.n_classes_ = len(self.classes_)
        return super().fit(x, y if one_hot else np.searchsorted(self.classes_, y.reshape(-1)), **kwargs)

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """The label of each sample, [n]; [n, 1] if the model has one output."""
        probabilities = self.model.predict(x, **self.filter_sk_params(Model.predict, kwargs))
        if probabilities.shape[-1] > 1:
            return self.classes_[probabilities.argmax(axis=-1)]
        return self.classes_[(probabilities > 0.5).astype(int)]

    def predict_proba(self, x: Any, **kwargs: Any) -> np.ndarray:
        """The probabilities of the classes, [n, classes]."""
        probabilities = self.model.predict(x, **self.filter_sk_params(Model.predict, kwargs))
        return np.hstack([1 - probabilities, probabilities]) if probabilities.shape[1] == 1 else probabilities

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """The part of the samples that are classified as y says.

        Raises:
            ValueError: The model was not compiled with the metric 'accuracy'.
        """
        y = np.asarray(y)
        if y.ndim == 1 or y.shape[1] == 1:
            y = np.searchsorted(self.classes_, y.reshape(-1))
        results = self.model.evaluate(x, self._targets(y), **self.filter_sk_params(Model.evaluate, kwargs))
        named = dict(zip(self.model.metrics_names, np.atleast_1d(results), strict=True))
        for name in ("accuracy", "acc"):
            if name in named:
                return float(named[name])
        raise ValueError(
            "The model is not configured to compute accuracy: pass metrics=['accuracy'] to `model.compile()`, "
            f"received {self.model.metrics_names}."
        )

    def __sklearn_tags__(self) -> Any:
        return _tags("classifier")


class KerasRegressor(BaseWrapper):
    """A model as a regressor.

    Args:
        build_fn: Returns a compiled model.
        **sk_params: Arguments of `build_fn`, and of `Model.fit`, `predict` and `evaluate`.
    """

    _estimator_type = "regressor"

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """The outputs, [n] if the model has one."""
        outputs = self.model.predict(x, **self.filter_sk_params(Model.predict, kwargs))
        return outputs[:, 0] if outputs.ndim == 2 and outputs.shape[1] == 1 else outputs

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """Minus the loss: more is better."""
        results = self.model.evaluate(x, y, **self.filter_sk_params(Model.evaluate, kwargs))
        return -float(np.atleast_1d(results)[0])

    def __sklearn_tags__(self) -> Any:
        return _tags("regressor")


def _takes(function: Callable, name: str) -> bool:
    return name != "self" and name in inspect.signature(function).parameters


def _tags(kind: str) -> Any:
    """What scikit-learn from 1.6 on asks of an estimator; nobody else does."""
    from sklearn.utils import ClassifierTags, RegressorTags, Tags, TargetTags

    return Tags(
        estimator_type=kind,
        target_tags=TargetTags(required=True),
        classifier_tags=ClassifierTags() if kind == "classifier" else None,
        regressor_tags=RegressorTags() if kind == "regressor" else None,
    )
