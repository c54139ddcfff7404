"""`Model.compile`, argument by argument: what losses, weights and metrics come to on outputs that are known."""

import numpy as np
import pytest

import distkeras as tf

keras = tf.keras
X = np.array([[1.0], [2.0], [3.0], [4.0]], "float32")
LEFT, RIGHT = np.zeros((4, 1), "float32"), np.array([[2.0], [2.0], [2.0], [2.0]], "float32")
MSE = {"left": (X**2).mean(), "right": ((X - 2) ** 2).mean()}
MAE = {"left": X.mean(), "right": abs(X - 2).mean()}


def two():
    """Two outputs that are the input itself."""
    x = keras.Input((1,), name="x")
    ones = {"kernel_initializer": "ones", "use_bias": False}
    return keras.Model(x, [keras.layers.Dense(1, name=name, **ones)(x) for name in ("left", "right")])


def results(sample_weight=None, targets=(LEFT, RIGHT), **options):
    model = two()
    model.compile(**{"optimizer": "sgd", "loss": "mse", **options})
    values = model.evaluate(X, list(targets), sample_weight=sample_weight, verbose=0)
    return dict(zip(model.metrics_names, np.atleast_1d(values).tolist(), strict=True))


# --- loss


def halves(y_true, y_pred):
    return 0.5 * tf.reduce_mean(tf.abs(y_true - y_pred), axis=-1)


@pytest.mark.parametrize(
    ("loss", "left", "right"),
    [
        ("mse", MSE["left"], MSE["right"]),
        (keras.losses.mean_absolute_error, MAE["left"], MAE["right"]),
        (keras.losses.MeanSquaredError(), MSE["left"], MSE["right"]),
        (keras.losses.MeanSquaredError(reduction="sum"), 4 * MSE["left"], 4 * MSE["right"]),
        (halves, MAE["left"] / 2, MAE["right"] / 2),
        (["mse", "mae"], MSE["left"], MAE["right"]),
        (("mae", halves), MAE["left"], MAE["right"] / 2),
        ({"left": "mae", "right": keras.losses.MeanSquaredError()}, MAE["left"], MSE["right"]),
    ],
)
def test_loss_in_every_form(loss, left, right):
    found = results(loss=loss)
    assert list(found) == ["loss", "left_loss", "right_loss"]
    assert list(found.values()) == pytest.approx([left + right, left, right])


def test_an_output_without_a_loss_takes_no_targets():
    for loss in (["mse", None], {"left": "mse"}):
        model = two()
        if isinstance(loss, dict):
            with pytest.warns(UserWarning, match="Output right missing from loss dictionary"):
                model.compile("sgd", loss)
        else:
            model.compile("sgd", loss)
        for targets in (LEFT, [LEFT], {"left": LEFT}):
            assert model.evaluate(X, targets, verbose=0) == pytest.approx([MSE["left"]] * 2)


# --- optimizer


def test_the_optimizer_by_default_by_name_and_as_an_object():
    model = two()
    model.compile(loss="mse")
    assert isinstance(model.optimizer, keras.optimizers.RMSprop)
    model.compile("adam", "mse")
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    optimizer = keras.optimizers.SGD(0.5, momentum=0.9)
    model.compile(optimizer, "mse")
    assert model.optimizer is optimizer


# --- loss_weights


@pytest.mark.parametrize("weights", [[2.0, 0.5], (2.0, 0.5), {"left": 2.0, "right": 0.5}, [2, tf.constant(0.5)]])
def test_loss_weights_weigh_the_sum_and_not_its_parts(weights):
    found = results(loss_weights=weights)
    assert found["loss"] == pytest.approx(2 * MSE["left"] + 0.5 * MSE["right"])
    assert (found["left_loss"], found["right_loss"]) == pytest.approx((MSE["left"], MSE["right"]))


def test_loss_weights_left_out_of_a_dict_are_ones():
    assert results(loss_weights={"right": 3.0})["loss"] == pytest.approx(MSE["left"] + 3 * MSE["right"])


# --- metrics


@pytest.mark.parametrize(
    ("metrics", "names"),
    [
        (["mae"], ["left_mae", "right_mae"]),
        (("mae", "mse"), ["left_mae", "left_mse", "right_mae", "right_mse"]),
        ([["mae"], ["mae", "mse"]], ["left_mae", "right_mae", "right_mse"]),
        (["mae", ["mae", "mse"]], ["left_mae", "right_mae", "right_mse"]),
        ([[], ["mse"]], ["right_mse"]),
        ({"left": "mae", "right": ["mae", "mse"]}, ["left_mae", "right_mae", "right_mse"]),
        ({"right": keras.metrics.MeanSquaredError("mse")}, ["right_mse"]),
        (
            [keras.metrics.mae, "mse"],
            ["left_mean_absolute_error", "left_mse", "right_mean_absolute_error", "right_mse"],
        ),
        ([keras.metrics.MeanAbsoluteError("mae")], ["left_mae", "right_mae"]),
    ],
)
def test_metrics_in_every_form(metrics, names):
    found = results(metrics=metrics)
    assert list(found) == ["loss", "left_loss", "right_loss", *names]
    for name in names:
        output, _, kind = name.partition("_")
        assert found[name] == pytest.approx((MSE if kind == "mse" else MAE)[output])


def test_weighted_metrics_are_weighted_and_metrics_are_not():
    weights = np.array([0.0, 0.0, 1.0, 3.0])
    found = results([weights, None], metrics=["mae"], weighted_metrics=["mae"])
    assert found["left_mae"] == pytest.approx(MAE["left"])
    assert found["left_mae_1"] == pytest.approx((3 + 3 * 4) / 4)
    assert found["right_mae"] == found["right_mae_1"] == pytest.approx(MAE["right"])
    assert found["left_loss"] == pytest.approx((9 + 3 * 16) / 4)


# --- sample_weight_mode


def timewise(**options):
    """The mean absolute error of ones, by time step, under weights."""
    steps = keras.Input((3, 1))
    model = keras.Model(steps, keras.layers.Lambda(lambda x: x * 1.0, name="same")(steps))
    model.compile("sgd", "mae", weighted_metrics=["mae"], **options)
    return model


@pytest.mark.parametrize("mode", ["temporal", ["temporal"], {"same": "temporal"}])
def test_temporal_weights(mode):
    weights = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    found = timewise(sample_weight_mode=mode).evaluate(
        np.ones((2, 3, 1)), np.zeros((2, 3, 1)), sample_weight=weights, verbose=0
    )
    assert found == pytest.approx([3 / 6, 1.0])


@pytest.mark.parametrize(
    ("mode", "weights", "message"),
    [
        (None, np.ones((2, 3)), 'specify sample_weight_mode="temporal" in compile'),
        ("temporal", np.ones(2), "takes weights of shape"),
        ("temporal", np.ones((2, 4)), r"Expected shape \(2, 3\)"),
    ],
)
def test_weights_must_fit_the_mode(mode, weights, message):
    model = timewise(sample_weight_mode=mode)
    for call in (model.evaluate, model.fit):
        with pytest.raises(ValueError, match=message):
            call(np.ones((2, 3, 1)), np.zeros((2, 3, 1)), sample_weight=weights, verbose=0)


@pytest.mark.parametrize("mode", ["spatial", ["spatial"], {"same": "spatial"}, 2])
def test_other_modes_are_refused(mode):
    with pytest.raises(ValueError, match="`sample_weight_mode` must be None or \"temporal\", received '?(spatial|2)'?"):
        timewise(sample_weight_mode=mode)


# --- target_tensors


@pytest.mark.parametrize(
    ("tensors", "y"),
    [
        ([tf.constant(LEFT), tf.constant(RIGHT)], None),
        ({"left": tf.constant(LEFT), "right": RIGHT}, None),
        ({"left": tf.constant(LEFT)}, RIGHT),
        ({"left": tf.constant(LEFT)}, [RIGHT]),
        ({"left": tf.constant(LEFT)}, {"right": RIGHT}),
        ([None, tf.constant(RIGHT)], LEFT),
        ([tf.constant(LEFT), tf.constant(LEFT)], {"right": RIGHT}),  # what is given with the data goes first
    ],
)
def test_target_tensors_stand_in_for_targets(tensors, y):
    model = two()
    model.compile("sgd", "mse", target_tensors=tensors)
    expected = [MSE["left"] + MSE["right"], MSE["left"], MSE["right"]]
    assert model.evaluate(X, y, verbose=0) == pytest.approx(expected)
    assert model.test_on_batch(X, y) == pytest.approx(expected)
    assert model.train_on_batch(X, y) == pytest.approx(expected)
    assert model.fit(X, y, verbose=0).history["loss"][0] < expected[0]


def test_one_target_tensor_for_one_output():
    x = keras.Input((1,))
    model = keras.Model(x, keras.layers.Dense(1, kernel_initializer="ones")(x))
    model.compile("sgd", "mse", target_tensors=tf.constant(LEFT))
    assert model.evaluate(X, verbose=0) == pytest.approx(MSE["left"])
    assert model.evaluate(X, RIGHT, verbose=0) == pytest.approx(MSE["right"])


# --- what else there is


def test_run_eagerly_and_the_experimental_argument():
    model = two()
    for value in (True, False, None):
        model.compile("sgd", "mse", run_eagerly=value, experimental_run_tf_function=False)
        assert model.run_eagerly is bool(value)


def test_distribute_is_refused_as_the_page_says():
    with pytest.raises(ValueError, match=r"not available in TF 2.0: make and compile the model inside of `with strat"):
        two().compile("sgd", "mse", distribute=tf.distribute.MirroredStrategy())


def test_arguments_by_position():
    model = two()
    model.compile("sgd", "mse", ["mae"], [1.0, 0.0], None, ["mse"], None, None)
    assert model.metrics_names[3:] == ["left_mae", "left_mse", "right_mae", "right_mse"]
    assert model.evaluate(X, [LEFT, RIGHT], verbose=0)[0] == pytest.approx(MSE["left"])
