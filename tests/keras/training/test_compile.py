"""What the arguments of compile mean for each output."""

import numpy as np
import pytest

import distkeras as tf
from distkeras.core import context
from distkeras.keras.training.compile import Compiled

ONE = (["out"], [(None, 3)])
TWO = (["a", "b"], [(None, 1), (None, 4)])


def bound(outputs=ONE, **arguments):
    compiled = Compiled(**arguments)
    compiled.bind(*outputs)
    return compiled


# --- names


@pytest.mark.parametrize(
    ("outputs", "arguments", "expected"),
    [
        (ONE, {"loss": "mse"}, ["loss"]),
        (ONE, {"loss": "mse", "metrics": ["mae", "acc"]}, ["loss", "mae", "acc"]),
        (
            ONE,
            {"loss": "mse", "metrics": ["accuracy"], "weighted_metrics": ["accuracy"]},
            ["loss", "accuracy", "accuracy_1"],
        ),
        (ONE, {"loss": "mse", "metrics": ["mae"], "weighted_metrics": ["mae", "mse"]}, ["loss", "mae", "mae_1", "mse"]),
        (ONE, {"loss": "mse", "metrics": [tf.keras.metrics.AUC(name="area")]}, ["loss", "area"]),
        (ONE, {"loss": "mse", "metrics": [tf.keras.metrics.mean_absolute_error]}, ["loss", "mean_absolute_error"]),
        (ONE, {"loss": "mse", "metrics": {"out": "mae"}}, ["loss", "mae"]),
        (TWO, {"loss": "mse"}, ["loss", "a_loss", "b_loss"]),
        (TWO, {"loss": "mse", "metrics": ["mae"]}, ["loss", "a_loss", "b_loss", "a_mae", "b_mae"]),
        (TWO, {"loss": "mse", "metrics": {"b": ["acc", "mae"]}}, ["loss", "a_loss", "b_loss", "b_acc", "b_mae"]),
        (TWO, {"loss": "mse", "metrics": [["mae"], []]}, ["loss", "a_loss", "b_loss", "a_mae"]),
        (
            TWO,
            {"loss": "mse", "metrics": ["mae", ["acc", "mse"]]},
            ["loss", "a_loss", "b_loss", "a_mae", "b_acc", "b_mse"],
        ),
        (TWO, {"loss": [None, "mse"], "metrics": ["mae"]}, ["loss", "b_loss", "b_mae"]),
        (TWO, {"loss": ["mse", "mae"], "weighted_metrics": ["mae"]}, ["loss", "a_loss", "b_loss", "a_mae", "b_mae"]),
    ],
)
def test_metrics_names(outputs, arguments, expected):
    assert bound(outputs, **arguments).metrics_names == expected


def test_outputs_do_not_share_the_state_of_a_metric():
    metric = tf.keras.metrics.MeanAbsoluteError(name="error")
    compiled = bound(TWO, loss="mse", metrics=[metric])
    assert [item.name for item in compiled.metrics] == ["a_error", "b_error"]
    assert compiled.metrics[0] is not compiled.metrics[1]


@pytest.mark.parametrize("name", ["accuracy", "acc", "crossentropy", "ce"])
@pytest.mark.parametrize(
    ("shape", "loss", "kind"),
    [
        ((None, 1), "mse", "binary"),
        ((None, 5), "binary_crossentropy", "binary"),
        ((None, 5), tf.keras.losses.BinaryCrossentropy(), "binary"),
        ((None, 5), "sparse_categorical_crossentropy", "sparse_categorical"),
        ((None, 5), tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True), "sparse_categorical"),
        ((None, 5), "categorical_crossentropy", "categorical"),
        ((None, 5), "mse", "categorical"),
    ],
)
def test_accuracy_means_what_fits_output_and_loss(name, shape, loss, kind):
    (metric,) = bound((["out"], [shape]), loss=loss, metrics=[name]).metrics
    wanted = "accuracy" if name.startswith("acc") else "crossentropy"
    assert metric.name == name
    assert metric._fn is getattr(tf.keras.metrics, f"{kind}_{wanted}")


# --- losses


def test_losses_in_every_form():
    def own(y_true, y_pred):
        return tf.reduce_mean(tf.abs(y_true - y_pred), axis=-1)

    y_true, y_pred = tf.constant([[1.0], [2.0]]), tf.constant([[2.0], [4.0]])
    for loss, value in (
        ("mse", 2.5),
        ("MeanSquaredError", 2.5),
        (tf.keras.losses.mse, 2.5),
        (tf.keras.losses.MeanSquaredError(), 2.5),
        (own, 1.5),
        ({"out": "mse"}, 2.5),
        (["mse"], 2.5),
    ):
        parts = bound((["out"], [(None, 1)]), loss=loss).total_loss(y_true, y_pred)
        assert (float(parts.mean_part), float(parts.sum_part)) == (value, 0.0)


def test_sums_are_kept_apart_from_means():
    y_true, y_pred = tf.zeros((2, 1)), [tf.constant([[2.0], [4.0]]), tf.ones((2, 4))]
    compiled = bound(TWO, loss=[tf.keras.losses.MeanSquaredError(reduction="sum"), "mse"], loss_weights=[0.5, 10.0])
    parts = compiled.total_loss([y_true, tf.zeros((2, 4))], y_pred, None, [tf.constant(3.0)])
    assert (float(parts.mean_part), float(parts.sum_part)) == (13.0, 10.0)
    assert [float(metric.result()) for metric in compiled.output_losses] == [20.0, 1.0]


def test_output_losses_of_slices_add_up():
    """The states of two ranks, summed, give the result of one process."""
    y_pred = np.arange(5.0, dtype="float32").reshape(5, 1)
    outputs = (["a", "b"], [(None, 1), (None, 1)])
    losses = [tf.keras.losses.MeanSquaredError(reduction="sum"), "mse"]

    def states(start, stop, share):
        compiled = bound(outputs, loss=losses)
        with context.on_replica(context.Replica(share)):
            part = tf.constant(y_pred[start:stop])
            compiled.total_loss([part * 0, part * 0], [part, part])
        return np.array([[weight.numpy() for weight in metric.weights] for metric in compiled.output_losses])

    whole = states(0, 5, None)
    parts = states(0, 2, tf.constant(0.4)) + states(2, 5, tf.constant(0.6)) + states(5, 5, tf.constant(0.0))
    np.testing.assert_allclose(parts, whole, rtol=1e-6)


def test_masks_weight_losses_and_metrics():
    y_pred = tf.constant([[1.0], [3.0]]) * tf.ones((1, 1))
    y_pred._keras_mask = tf.constant([True, False])
    compiled = bound((["out"], [(None, 1)]), loss="mse", metrics=["mae"], weighted_metrics=["mse"])
    parts = compiled.total_loss(tf.zeros((2, 1)), y_pred, tf.constant([2.0, 5.0]))
    compiled.update_metrics(tf.zeros((2, 1)), y_pred, tf.constant([2.0, 5.0]))
    assert float(parts.mean_part) == 1.0  # 1 * 2 over both elements
    assert [float(metric.result()) for metric in compiled.metrics] == [1.0, 1.0]


def test_the_running_loss_and_that_of_the_last_batch():
    tracker = Compiled(loss="mse").loss_tracker
    tracker.update_state(1.0, sample_weight=3.0)
    tracker.update_state(5.0, sample_weight=1.0)
    assert float(tracker.result()) == 2.0 and float(tracker.batch_loss.result()) == 5.0


def test_nothing_to_minimize():
    with pytest.raises(ValueError, match="no loss to optimize"):
        bound().total_loss(None, tf.ones((2, 3)))
    assert float(bound().total_loss(None, tf.ones((2, 3)), None, [tf.constant(2.0)]).mean_part) == 2.0


def test_outputs_and_targets_must_match_what_was_compiled():
    compiled = bound(TWO, loss="mse")
    with pytest.raises(ValueError, match="gave 1 outputs, but was compiled for 2"):
        compiled.total_loss([tf.ones((2, 1))] * 2, tf.ones((2, 1)))
    with pytest.raises(ValueError, match="received 1 targets"):
        compiled.total_loss(tf.ones((2, 1)), [tf.ones((2, 1)), tf.ones((2, 4))])


# --- targets


@pytest.mark.parametrize(
    ("loss", "output", "target", "message"),
    [
        ("categorical_crossentropy", (None, 4), (8, 4), None),
        ("categorical_crossentropy", (None, 4), (8, 1), "expects one-hot targets"),
        ("categorical_crossentropy", (None, 4), (8, 3), "shape of the output"),
        ("sparse_categorical_crossentropy", (None, 4), (8, 1), None),
        ("sparse_categorical_crossentropy", (None, 4), (8, 4), "integer classes"),
        ("sparse_categorical_crossentropy", (None, 5, 4), (8, 5), None),
        ("sparse_categorical_crossentropy", (None, 5, 4), (8, 5, 1), None),
        ("sparse_categorical_crossentropy", (None, None, 4), (8, 7, 1), None),
        ("sparse_categorical_crossentropy", (None, 5, 4), (8, 6), "integer classes"),
        ("mse", (None, 2), (8, 2), None),
        ("mse", (None, 2), (8, 1), "shape of the output"),
        ("binary_crossentropy", (None, 2), (8, 3), "shape of the output"),
        ("mae", (None, 2), (8, 1), None),
        (lambda y_true, y_pred: y_pred, (None, 2), (8, 7), None),
    ],
)
def test_targets_must_fit_their_loss(loss, output, target, message):
    compiled = bound((["out"], [output]), loss=loss)
    if message is None:
        compiled.check_targets([np.zeros(target)])
    else:
        with pytest.raises(ValueError, match=message):
            compiled.check_targets([np.zeros(target)])


# --- errors


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"loss": "msee"}, ValueError, "Unknown loss function: 'msee'"),
        ({"loss": 3}, ValueError, "3"),
        ({"loss": ["mse"]}, ValueError, "passing a list as loss, it should have one entry per model output"),
        ({"loss": {"a": "mse", "c": "mse"}}, ValueError, r"Unknown entries in loss dictionary: \['c'\]"),
        ({"loss": "mse", "loss_weights": [1.0]}, ValueError, "passing a list as loss_weights"),
        ({"loss": "mse", "loss_weights": {"c": 1.0}}, ValueError, "Unknown entries in loss_weights dictionary"),
        ({"loss": "mse", "loss_weights": 2.0}, TypeError, "must be a list or a dict"),
        ({"loss": "mse", "loss_weights": ["x", 1.0]}, ValueError, "must hold numbers"),
        ({"loss": "mse", "metrics": "mae"}, TypeError, "Expected a list or dictionary, found: 'mae'"),
        ({"loss": "mse", "metrics": ["maee"]}, ValueError, "Unknown metric function: 'maee'"),
        ({"loss": "mse", "metrics": [3]}, ValueError, "3"),
        ({"loss": "mse", "metrics": [None]}, ValueError, "metric"),
        ({"loss": "mse", "metrics": [["mae"]]}, ValueError, "one entry per model output"),
        ({"loss": "mse", "metrics": {"c": "mae"}}, ValueError, "Unknown entries in metrics dictionary"),
        ({"loss": "mse", "weighted_metrics": {"c": "mae"}}, ValueError, "Unknown entries in metrics dictionary"),
        (
            {"loss": "mse", "sample_weight_mode": "spatial"},
            ValueError,
            "must be None or \"temporal\", received 'spatial'",
        ),
        ({"loss": "mse", "sample_weight_mode": ["temporal"]}, ValueError, "passing a list as sample_weight_mode"),
        (
            {"loss": "mse", "sample_weight_mode": {"a": "temporal"}},
            ValueError,
            "Output b missing from sample_weight_mode",
        ),
        ({"loss": "mse", "sample_weight_mode": {"c": None}}, ValueError, "Unknown entries in sample_weight_mode"),
    ],
)
def test_what_cannot_be_compiled(arguments, error, message):
    with pytest.raises(error, match=message):
        bound(TWO, **arguments)


def test_an_output_left_out_of_a_dict_of_losses():
    with pytest.warns(UserWarning, match="Output a missing from loss dictionary"):
        compiled = bound(TWO, loss={"b": "mse"}, metrics=["mae"])
    assert compiled.trained == [1] and compiled.metrics_names == ["loss", "b_loss", "b_mae"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"optimizer": "sdg"}, ValueError, "sdg"),
        ({"loss": "msee"}, ValueError, "msee"),
        ({"metrics": ["maee"]}, ValueError, "maee"),
        ({"metrics": "mae"}, TypeError, "Expected a list or dictionary"),
        ({"sample_weight_mode": "spatial"}, ValueError, "sample_weight_mode"),
        ({"distribute": "strategy"}, ValueError, "with strategy.scope"),
        ({"learning_rate": 0.1}, TypeError, r"Invalid keyword argument\(s\) in `compile`: \['learning_rate'\]"),
        ({"run_eagerly": "yes"}, ValueError, "`run_eagerly` must be True, False or None"),
    ],
)
@pytest.mark.parametrize("kind", ["functional", "subclassed"])
def test_bad_arguments_of_compile_change_nothing(arguments, error, message, kind):
    class Own(tf.keras.Model):
        def call(self, x):
            return x

    model = Own() if kind == "subclassed" else tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
    with pytest.raises(error, match=message):
        model.compile(**{"optimizer": "sgd", "loss": "mse", **arguments})
    assert model.optimizer is None
    with pytest.raises(RuntimeError, match="You must compile your model before training/testing"):
        model.fit(np.ones((2, 2)), np.ones(2))


def test_config_is_what_was_given():
    given = {"loss": {"a": "mse", "b": "mae"}, "metrics": ["mae"], "loss_weights": [1.0, 2.0]}
    config = Compiled(**given).get_config()
    assert {key: value for key, value in config.items() if value is not None} == given
