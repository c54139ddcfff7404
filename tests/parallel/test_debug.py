"""Debug mode: calls that differ, replicas that drift apart and NaN are told of, with rank and place."""

import warnings

import numpy as np
import pytest

import distkeras as tf
from distkeras import _settings
from distkeras._errors import ReplicaMismatchError

layers = tf.keras.layers
X = np.linspace(-1, 1, 36).reshape(12, 3).astype("float32")
Y = np.linspace(0, 1, 12).reshape(12, 1).astype("float32")


@pytest.fixture
def debug(monkeypatch):
    settings = _settings.resolve({"debug": True, "debug_every": 2})
    monkeypatch.setattr(_settings, "current", lambda: settings)


@pytest.fixture
def several(communicator):
    """The ranks on a communicator that compares, whatever the process was started with."""
    duplicate = communicator.duplicate()
    duplicate._compares = True
    yield duplicate
    duplicate.close()


@pytest.mark.mpi(min_size=2)
def test_other_calls_are_named(several):
    several.step = 5
    several.allreduce_(np.ones(3), "moments")
    with pytest.raises(ReplicaMismatchError) as error:
        if several.rank == 1:
            several.barrier()
        else:
            several.allreduce_(np.ones(3), "moments")
    assert "allreduce of moments in float64 of 3 elements at step 5 on rank" in str(error.value)
    assert "barrier at step 5 on rank 1" in str(error.value)
    several.barrier()


@pytest.mark.mpi(min_size=2)
@pytest.mark.parametrize(
    "call",
    [
        lambda world: world.allreduce_(np.ones(3 + world.rank)),
        lambda world: world.allreduce_(np.ones(3, "float32" if world.rank else "float64")),
        lambda world: world.broadcast_(np.ones(3), world.rank),
        lambda world: world.allgather_object(1, f"what rank {world.rank} wants"),
    ],
)
def test_sizes_types_roots_and_purposes_are_compared(several, call):
    with pytest.raises(ReplicaMismatchError, match="do not make the same call"):
        call(several)
    several.barrier()


def test_what_may_differ_is_not_compared(several):
    assert len(several.allgather(np.ones(several.rank))) == several.size
    assert several.allgather_object("x" * several.rank)[-1] == "x" * (several.size - 1)


def compiled(*parts, optimizer="sgd", dropout=0.0):
    tf.random.set_seed(2)
    with tf.distribute.MirroredStrategy().scope():
        model = tf.keras.Sequential([layers.Dense(4, input_shape=(3,), name="first"), *parts])
        if dropout:  # made here: what it draws depends on how many such layers were made since the seed was set
            model.add(layers.Dropout(dropout))
        model.add(layers.Dense(1))
        model.compile(optimizer, "mse")
    return model


def test_steps_are_as_without(debug):
    model = compiled(layers.BatchNormalization(), optimizer="adam", dropout=0.3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_settings, "current", _settings.resolve)
        other = compiled(layers.BatchNormalization(), optimizer="adam", dropout=0.3)
        other.fit(X, Y, batch_size=5, epochs=2, verbose=0)
    model.fit(X, Y, batch_size=5, epochs=2, verbose=0)
    for weight, mine, theirs in zip(model.weights, model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs, weight.name)


@pytest.mark.mpi(min_size=2)
def test_replicas_that_drift_apart(debug, communicator):
    model = compiled()
    model.train_on_batch(X, Y)
    if communicator.rank == 1:
        model.layers[1].bias.assign_add([1e-6])
    with pytest.raises(ReplicaMismatchError, match=r"After step 2 the state .*'3: dense.*/bias:0' is .* on rank"):
        model.train_on_batch(X, Y)


def origin_of(model, x, y, communicator, **arguments):
    """What is warned of in one step, on rank 0, and known by all."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.train_on_batch(x, y, **arguments)
        model.train_on_batch(x, y, **arguments)
    texts = [str(one.message) for one in caught if one.category is RuntimeWarning]
    assert len(texts) == (communicator.rank == 0) and all(model._non_finite_origin in text for text in texts)
    return model._non_finite_origin


def last_row(values, wrong):
    return np.concatenate([values[:-1], np.full_like(values[-1:], wrong)])


class Logarithm(layers.Layer):
    def call(self, inputs):
        return tf.math.log(inputs)


class Root(layers.Layer):
    """Finite itself, with a derivative that is not: that of a square root at 0."""

    def call(self, inputs):
        return tf.sqrt(inputs * 0.0)


def test_nan_in_the_data(debug, communicator):
    text = origin_of(compiled(), last_row(X, np.nan), Y, communicator)
    assert text == f"NaN or infinity, first on rank {communicator.size - 1}, in the inputs of the batch"


def test_nan_in_a_layer(debug, communicator):
    model = compiled(Logarithm(name="log"), layers.Dense(2, name="after"))
    model.layers[0].set_weights([np.ones((3, 4)), np.zeros(4)])
    x = last_row(np.abs(X) + 1, -1)  # the logarithm of negative numbers, in the last row only
    text = origin_of(model, x, Y, communicator)
    assert text == (f"NaN or infinity, first on rank {communicator.size - 1}, in the output of layer 'log' (Logarithm)")


def test_weights_that_are_not_finite_are_named(debug, communicator):
    model = compiled()
    model.layers[0].bias.assign([0.0, np.inf, 0.0, 0.0])
    assert "layer 'first' (Dense), whose weights ['first/bias:0'] are not finite" in origin_of(
        model, X, Y, communicator
    )


def test_a_loss_that_overflows(debug, communicator):
    text = origin_of(compiled(), X, last_row(Y, 1e30), communicator)
    assert text == f"NaN or infinity, first on rank {communicator.size - 1}, in the loss, computed from finite outputs"


def test_a_gradient_that_is_not_finite(debug, communicator):
    text = origin_of(compiled(Root()), X, Y, communicator)
    assert "in the gradient of 'first/bias:0'; the loss is finite" in text


def test_terminate_on_nan_says_where(debug, communicator, capsys):
    model, stopper = compiled(), tf.keras.callbacks.TerminateOnNaN()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(last_row(X, np.inf), Y, 12, verbose=0, shuffle=False, callbacks=[stopper])
    said = capsys.readouterr().out
    where = f"first on rank {communicator.size - 1}, in the inputs of the batch"
    assert (where in said) == (communicator.rank == 0)


def test_terminate_on_nan_names_gradients_without_debug(communicator, capsys):
    model, stopper = compiled(), tf.keras.callbacks.TerminateOnNaN()
    model.fit(last_row(X, np.inf), Y, 12, verbose=0, shuffle=False, callbacks=[stopper])
    said = capsys.readouterr().out
    assert ("'first/kernel:0'" in said and "DISTKERAS_DEBUG=1" in said) == (communicator.rank == 0)
