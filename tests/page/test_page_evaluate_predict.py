"""`evaluate`, `predict`, their generator names, and the methods on single batches, argument by argument."""

import numpy as np
import pytest

import distkeras as tf

keras = tf.keras
X = np.arange(24.0, dtype="float32").reshape(12, 2) / 12
Y = X.sum(1)


def linear(**options):
    """A model that gives the sum of its inputs less one."""
    dense = keras.layers.Dense(
        1,
        name="out",
        kernel_initializer="ones",
        bias_initializer=keras.initializers.Constant(-1.0),
        input_shape=(2,),
    )
    model = keras.Sequential([dense])
    model.compile(keras.optimizers.SGD(0.0), "mae", **options)
    return model


def two():
    x = keras.Input((2,), name="x")
    model = keras.Model(x, [keras.layers.Dense(1, name="left")(x), keras.layers.Dense(3, name="right")(x)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


class Batches(keras.utils.Sequence):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return X[4 * index : 4 * index + 4], Y[4 * index : 4 * index + 4]


def generator(with_targets=True):
    for index in range(3):
        yield Batches()[index] if with_targets else Batches()[index][0]


class Counts(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.hooks = []

    def on_test_batch_end(self, batch, logs=None):
        self.hooks.append(("test", batch, logs["size"]))

    def on_predict_batch_end(self, batch, logs=None):
        self.hooks.append(("predict", batch, logs["size"]))


# --- evaluate


def test_one_loss_is_a_number_and_more_are_a_list_in_the_order_of_the_names():
    found = linear().evaluate(X, Y, verbose=0)
    assert isinstance(found, float) and found == pytest.approx(1.0)
    model = two()
    values = model.evaluate(X, [Y, np.ones((12, 3))], verbose=0)
    assert model.metrics_names == ["loss", "left_loss", "right_loss", "left_mae", "right_mae"]
    assert len(values) == 5 and all(isinstance(value, float) for value in values)
    assert values[0] == pytest.approx(values[1] + values[2])


@pytest.mark.parametrize("data", [(Batches(),), (iter(list(generator())),), (X, Y), ([X], [Y]), ({"out_input": X}, Y)])
def test_evaluate_on_every_form_of_data(data):
    assert linear().evaluate(*data, verbose=0) == pytest.approx(1.0)


def test_batch_size_steps_and_callbacks_of_evaluate():
    counts = Counts()
    linear().evaluate(X, Y, batch_size=5, verbose=0, callbacks=[counts])
    assert counts.hooks == [("test", 0, 5), ("test", 1, 5), ("test", 2, 2)]
    counts.hooks.clear()
    linear().evaluate(Batches(), verbose=0, steps=2, callbacks=counts, max_queue_size=2, workers=2)
    assert counts.hooks == [("test", 0, 4), ("test", 1, 4)]


def test_sample_weight_of_evaluate():
    weights = np.zeros(12)
    weights[3] = 12.0
    model = linear(weighted_metrics=["mse"], metrics=["mse"])
    assert model.evaluate(X, 2 * Y, sample_weight=weights, verbose=0)[0] == pytest.approx(Y[3] + 1)


def test_evaluation_changes_nothing():
    model = two()
    model.compile("adam", "mse")
    before = model.get_weights()
    model.evaluate(X, [Y, np.ones((12, 3))], verbose=0)
    assert all(np.array_equal(one, other) for one, other in zip(model.get_weights(), before, strict=True))
    assert model.optimizer.iterations.numpy() == 0


def test_evaluate_generator_with_all_its_arguments():
    counts = Counts()
    found = linear().evaluate_generator(
        generator(), steps=2, callbacks=[counts], max_queue_size=3, workers=1, use_multiprocessing=False, verbose=0
    )
    assert found == pytest.approx(1.0) and len(counts.hooks) == 2
    assert linear().evaluate_generator(Batches(), 2, None, 3, 0, False, 0) == pytest.approx(1.0)


# --- predict


@pytest.mark.parametrize(
    "data", [X, [X], tf.constant(X), X.tolist(), {"out_input": X}, Batches(), "with targets", "without targets"]
)
def test_predict_on_every_form_of_data(data):
    if isinstance(data, str):
        data = generator(data == "with targets")
    found = linear().predict(data)
    assert isinstance(found, np.ndarray) and found.shape == (12, 1) and found.dtype == np.float32
    np.testing.assert_allclose(found[:, 0], Y - 1, rtol=1e-5, atol=1e-6)


def test_predictions_of_several_outputs_are_a_list():
    left, right = two().predict(X)
    assert (left.shape, right.shape) == ((12, 1), (12, 3))


def test_batch_size_steps_and_callbacks_of_predict():
    counts = Counts()
    assert linear().predict(X, batch_size=5, steps=2, callbacks=[counts], verbose=0).shape == (10, 1)
    assert counts.hooks == [("predict", 0, 5), ("predict", 1, 5)]
    assert linear().predict(Batches(), steps=1, max_queue_size=1, workers=2, use_multiprocessing=False).shape == (4, 1)


def test_predict_generator_with_all_its_arguments():
    counts = Counts()
    found = linear().predict_generator(
        generator(), steps=3, callbacks=[counts], max_queue_size=2, workers=0, use_multiprocessing=False, verbose=0
    )
    np.testing.assert_allclose(found[:, 0], Y - 1, rtol=1e-5, atol=1e-6)
    assert len(counts.hooks) == 3


def test_predict_verbose(capsys):
    linear().predict(X, verbose=1)
    assert capsys.readouterr().out.startswith("12/12 [====")
    linear().predict(X, verbose=0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("method", "arguments"), [("evaluate", (Y,)), ("predict", ())])
def test_a_stateful_model_needs_whole_batches(method, arguments):
    class Counting(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.stateful = True

    x = keras.Input(batch_shape=(5, 2))
    model = keras.Model(x, keras.layers.Dense(1)(Counting()(x)))
    model.compile("sgd", "mse")
    assert model.stateful
    with pytest.raises(ValueError, match="number of samples that can be divided by the batch size. Found: 12 samples"):
        getattr(model, method)(X, *arguments)
    assert model.predict(X[:10]).shape == (10, 1)


# --- single batches


@pytest.mark.parametrize("method", ["train_on_batch", "test_on_batch"])
@pytest.mark.parametrize("data", [(X, Y), ([X], [Y]), ({"out_input": X}, {"out": Y}), (tf.constant(X), tf.constant(Y))])
def test_single_batches_in_every_form(method, data):
    assert getattr(linear(), method)(*data) == pytest.approx(1.0)
    loss, mse = getattr(linear(metrics=["mse"]), method)(*data)
    assert (loss, mse) == pytest.approx((1.0, 1.0))


def test_weights_of_single_batches():
    model, weights = linear(), np.linspace(0, 1, 12)
    assert model.train_on_batch(X, Y, sample_weight=weights) == pytest.approx(0.5)
    assert model.test_on_batch(X, Y, weights) == pytest.approx(0.5)
    classes = np.arange(12) % 2
    found = model.train_on_batch(X, classes, class_weight={0: 0.0, 1: 1.0})
    assert found == pytest.approx(np.mean(abs(Y - 2)[1::2]) / 2, rel=1e-5)


def test_train_on_batch_is_one_step():
    model = two()
    model.train_on_batch(X, [Y, np.ones((12, 3))])
    assert model.optimizer.iterations.numpy() == 1
    model.test_on_batch(X, [Y, np.ones((12, 3))])
    assert model.optimizer.iterations.numpy() == 1


@pytest.mark.parametrize("method", ["train_on_batch", "test_on_batch"])
def test_reset_metrics_of_single_batches(method):
    model = linear(metrics=["mae"])
    step = getattr(model, method)
    assert step(X, Y, reset_metrics=False) == pytest.approx([1.0, 1.0])
    assert step(X, Y + 2, reset_metrics=False) == pytest.approx([3.0, 2.0])
    assert step(X, Y, reset_metrics=True) == pytest.approx([1.0, 5 / 3])
    assert step(X, Y) == pytest.approx([1.0, 1.0])
    step(X, Y + 2, reset_metrics=False)
    model.reset_metrics()
    assert step(X, Y) == pytest.approx([1.0, 1.0])


def test_predict_on_batch():
    assert isinstance(linear().predict_on_batch(X), np.ndarray)
    for form in (X, [X], {"out_input": X}, tf.constant(X)):
        np.testing.assert_allclose(linear().predict_on_batch(form)[:, 0], Y - 1, rtol=1e-5, atol=1e-6)
    left, right = two().predict_on_batch(X)
    assert (left.shape, right.shape) == ((12, 1), (12, 3))


@pytest.mark.parametrize("data", [Batches(), generator()], ids=["sequence", "generator"])
@pytest.mark.parametrize("method", ["train", "test", "predict"])
def test_a_stream_is_no_single_batch(method, data):
    with pytest.raises(ValueError, match=f"{method}_on_batch takes one batch, but `x` is a"):
        getattr(linear(), f"{method}_on_batch")(data)
