"""Sums that travel as float16: how far they may be from those in float32, and what is not lost."""

import numpy as np
import pytest

import distkeras as tf
from distkeras.distribute.compression import Float16Sums
from distkeras.distribute.node import Sharing

ULP = 2.0**-11  # a number rounded to 11 bits is off by at most this part of it


def gradients(rank, size, count=5003):
    random = np.random.default_rng([rank, size])
    return random.normal(size=count).astype(np.float32)


@pytest.mark.parametrize("magnitude", [1e-37, 1e-20, 1e-7, 1.0, 1e5, 1e12, 1e30])
def test_sums_are_those_of_float32_but_for_two_roundings(communicator, magnitude):
    everyone = [gradients(rank, communicator.size) * np.float32(magnitude) for rank in range(communicator.size)]
    array = everyone[communicator.rank].copy()
    Float16Sums(communicator).allreduce_(array, "gradients")
    total = np.sum(np.float64(everyone), axis=0)
    allowed = ULP * (np.abs(np.float64(everyone)).sum(axis=0) + np.abs(total)) * 1.01 + 2.0**-38 * magnitude
    assert (np.abs(array - total) <= allowed).all()
    if communicator.size > 1:
        assert (array != total.astype(np.float32)).any()  # it has been rounded, so it went the way that is tested


def test_nothing_overflows_where_float16_would(communicator):
    array = np.full(2048, 60000.0, np.float32)
    Float16Sums(communicator).allreduce_(array)
    np.testing.assert_allclose(array, 60000.0 * communicator.size, rtol=2 * ULP)


def test_small_numbers_beside_large_ones_are_kept(communicator):
    array = np.tile(np.float32([1.0, 1e-7]), 1024)
    Float16Sums(communicator).allreduce_(array)
    np.testing.assert_allclose(array[1::2], 1e-7 * communicator.size, rtol=3 * ULP)


def test_every_rank_gets_the_same_bytes(communicator):
    array = gradients(communicator.rank, communicator.size)
    Float16Sums(communicator).allreduce_(array)
    first, *others = communicator.allgather(array)
    assert all(first.tobytes() == other.tobytes() for other in others)


def test_zeros_nan_and_infinities_arrive(communicator):
    array = np.zeros(4096, np.float32)
    if communicator.rank == communicator.size - 1:
        array[[5, 4000]] = np.nan, np.inf
    Float16Sums(communicator).allreduce_(array)
    assert np.isnan(array[5]) and array[4000] == np.inf
    assert np.count_nonzero(array) == 2


def test_what_is_not_float32_or_small_is_summed_as_it_is(communicator):
    for array in (
        gradients(communicator.rank, communicator.size).astype(np.float64),
        gradients(communicator.rank, 0, 7),
    ):
        expected = array.copy()
        communicator.allreduce_(expected)
        Float16Sums(communicator).allreduce_(array)
        assert array.tobytes() == expected.tobytes()


class Counting:
    """A communicator that counts the bytes it is given."""

    def __init__(self, communicator):
        self._communicator = communicator
        self.nbytes = 0

    def __getattr__(self, name):
        method = getattr(self._communicator, name)
        if name not in ("alltoall", "allgather_", "allreduce_"):
            return method

        def counted(array, *args):
            self.nbytes += array.nbytes * (2 if name == "allreduce_" else 1)  # there and back
            return method(array, *args)

        return counted


def test_half_the_bytes_travel(communicator):
    plain, compressed = Counting(communicator), Counting(communicator)
    plain.allreduce_(np.ones(100_000, np.float32))
    Float16Sums(compressed).allreduce_(np.ones(100_000, np.float32))
    assert compressed.nbytes <= 0.501 * plain.nbytes


# --- training

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((43, 32)).astype("float32"), RNG.standard_normal((43, 8)).astype("float32")


def train(strategy, eager=False):
    tf.keras.backend.clear_session()
    tf.random.set_seed(3)
    with strategy.scope():
        layers = [tf.keras.layers.Dense(48, activation="tanh", input_shape=(32,)), tf.keras.layers.Dense(8)]
        model = tf.keras.Sequential(layers)
        model.compile(tf.keras.optimizers.SGD(0.05, momentum=0.9), "mse", run_eagerly=eager)
    losses = model.fit(X, Y, batch_size=10, epochs=3, verbose=0).history["loss"]
    return losses, model.get_weights()


def test_training_is_that_of_one_process_but_for_rounding(communicator):
    strategy = tf.distribute.MirroredStrategy(compression="float16")
    strategy._sharing = Sharing(communicator, False)  # nothing is rounded in memory that is shared
    losses, weights = train(strategy)
    expected_losses, expected = train(tf.distribute.OneDeviceStrategy())
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-3)
    for mine, theirs in zip(weights, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-3)
    if communicator.size > 1:
        exact = train(tf.distribute.MirroredStrategy())[1]
        assert max(np.abs(one - other).max() for one, other in zip(weights, exact, strict=True)) > 1e-6
    flat = np.concatenate([weight.ravel() for weight in weights])
    assert all(np.array_equal(flat, other) for other in communicator.allgather(flat))


def test_the_plan_equals_eager():
    strategy = tf.distribute.MirroredStrategy(compression="float16")
    planned, eager = train(strategy)[1], train(strategy, eager=True)[1]
    for mine, theirs in zip(planned, eager, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)


# --- what is refused


def test_other_kinds_are_refused():
    with pytest.raises(ValueError, match="compression must be 'none' or 'float16', received 'float8'"):
        tf.distribute.MirroredStrategy(compression="float8")


def test_deterministic_sums_are_not_rounded():
    with pytest.raises(ValueError, match="does not go with deterministic=True"):
        tf.distribute.MirroredStrategy(compression="float16", deterministic=True)


def test_float64_is_refused_before_anything_is_trained():
    with tf.distribute.MirroredStrategy(compression="float16").scope():
        model = tf.keras.Sequential([tf.keras.layers.Dense(8, dtype="float64", input_shape=(32,))])
        model.compile("sgd", "mse")
    before = model.get_weights()
    with pytest.raises(ValueError, match="is for float32 gradients; these are float64"):
        model.fit(X.astype("float64"), Y.astype("float64"), verbose=0)
    np.testing.assert_array_equal(before[0], model.get_weights()[0])
