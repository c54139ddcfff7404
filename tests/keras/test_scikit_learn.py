"""`tf.keras.wrappers.scikit_learn`: what scikit-learn calls on an estimator, without it."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf

KerasClassifier = tf.keras.wrappers.scikit_learn.KerasClassifier
KerasRegressor = tf.keras.wrappers.scikit_learn.KerasRegressor
X = np.random.RandomState(0).randn(40, 3).astype("float32")
SIDE = (X[:, 0] > 0).astype(int)


def build(units=1, loss="binary_crossentropy", metrics=("accuracy",)):
    tf.random.set_seed(0)
    activation = "sigmoid" if units == 1 else "softmax"
    model = tf.keras.Sequential([tf.keras.layers.Dense(units, activation)])
    model.compile(tf.keras.optimizers.Adam(0.1), loss, metrics=list(metrics))
    return model


def line():
    model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
    model.compile(tf.keras.optimizers.Adam(0.1), "mse")
    return model


def test_a_classifier_of_two_labels():
    names = np.array(["left", "right"])[SIDE]
    classifier = KerasClassifier(build, epochs=20, verbose=0)
    history = classifier.fit(X, names, batch_size=8)
    assert len(history.epoch) == 20 and classifier.classes_.tolist() == ["left", "right"]
    assert classifier.n_classes_ == 2
    predicted, probabilities = classifier.predict(X), classifier.predict_proba(X)
    assert predicted.shape == (40, 1) and probabilities.shape == (40, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-6)
    assert classifier.score(X, names) == np.mean(predicted[:, 0] == names) > 0.9


@pytest.mark.parametrize("loss", ["categorical_crossentropy", tf.keras.losses.CategoricalCrossentropy()])
@pytest.mark.parametrize("rows", [False, True], ids=["labels", "one-hot"])
def test_labels_become_rows_for_the_loss_that_needs_them(loss, rows):
    y = SIDE + (X[:, 1] > 0)
    classifier = KerasClassifier(build, units=3, loss=loss, epochs=20, verbose=0)
    classifier.fit(X, tf.keras.utils.to_categorical(y) if rows else y)
    predicted = classifier.predict(X)
    np.testing.assert_array_equal(predicted, classifier.predict_proba(X).argmax(axis=1))
    assert classifier.score(X, y) == pytest.approx(np.mean(predicted == y))
    assert classifier.score(X, tf.keras.utils.to_categorical(y)) == classifier.score(X, y)


def test_labels_in_order_need_no_rows():
    classifier = KerasClassifier(build, units=2, loss="sparse_categorical_crossentropy", epochs=20, verbose=0)
    classifier.fit(X, SIDE[:, None] + 5)
    assert set(classifier.predict(X)) == {5, 6}


def test_a_regressor():
    y = 2 * X[:, 0]
    regressor = KerasRegressor(line, epochs=30, verbose=0)
    regressor.fit(X, y)
    assert regressor.predict(X).shape == (40,) and regressor.predict(X[:1]).shape == (1,)
    assert regressor.score(X, y) == pytest.approx(-np.mean((regressor.predict(X) - y) ** 2), rel=1e-5)


def test_parameters_are_read_and_changed():
    classifier = KerasClassifier(build, units=2, verbose=0)
    assert classifier.get_params(deep=True) == {"build_fn": build, "units": 2, "verbose": 0}
    assert classifier.set_params(units=3, build_fn=build) is classifier
    assert type(classifier)(**classifier.get_params()).get_params()["units"] == 3
    assert classifier.filter_sk_params(build) == {"units": 3}
    assert classifier.filter_sk_params(tf.keras.Model.fit, {"epochs": 2}) == {"verbose": 0, "epochs": 2}


def test_a_subclass_may_build_its_model_itself():
    class Line(KerasRegressor):
        def __call__(self, rate=0.1):
            model = line()
            model.optimizer.learning_rate = rate
            return model

    regressor = Line(rate=0.5, verbose=0)
    regressor.fit(X, X[:, 0])
    assert float(regressor.model.optimizer.learning_rate) == 0.5


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: KerasClassifier(build, width=3), "width is not a legal parameter"),
        (lambda: KerasClassifier(build).set_params(depth=3), "depth is not a legal parameter"),
        (lambda: KerasRegressor(), "needs build_fn"),
        (lambda: KerasClassifier(build).fit(X, np.ones((40, 1, 1))), "Invalid shape for y"),
        (lambda: _without_accuracy().score(X, SIDE), "not configured to compute accuracy"),
    ],
)
def test_what_cannot_work_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def _without_accuracy():
    classifier = KerasClassifier(build, metrics=(), verbose=0)
    classifier.fit(X, SIDE)
    return classifier
