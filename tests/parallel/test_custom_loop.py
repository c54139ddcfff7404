"""A training loop of one's own under a strategy: the same weights as one process, with slices of unequal size."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(23, 4)).astype("float32")
Y = RANDOM.integers(0, 3, 23)
BATCHES = [(X[start : start + 10], Y[start : start + 10]) for start in (0, 10, 20)]  # the last one has 3 samples


def train(strategy, global_batch_size):
    with strategy.scope():
        model = tf.keras.Sequential([tf.keras.layers.Dense(3, input_shape=(4,), kernel_initializer="ones")])
        optimizer = tf.keras.optimizers.SGD(0.1, momentum=0.9)
        loss_of = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")

    def step(images, labels):
        with tf.GradientTape() as tape:
            examples = loss_of(labels, model(images, training=True))
            loss = tf.nn.compute_average_loss(examples, global_batch_size=global_batch_size)
            loss += tf.nn.scale_regularization_loss(0.01 * tf.reduce_sum(tf.square(model.weights[0])))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    losses = []
    for batch in strategy.experimental_distribute_dataset(BATCHES):
        loss = strategy.experimental_run_v2(step, args=batch)
        losses.append(float(strategy.reduce(tf.distribute.ReduceOp.SUM, loss, axis=None)))
    return losses, model.get_weights()


@pytest.mark.parametrize("global_batch_size", [None, 10])
def test_all_ranks_together_train_what_one_process_trains(global_batch_size):
    expected_losses, expected = train(tf.distribute.OneDeviceStrategy(), global_batch_size)
    losses, weights = train(tf.distribute.MirroredStrategy(), global_batch_size)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)
    for one, other in zip(weights, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_weights_of_samples():
    average = tf.nn.compute_average_loss(tf.ones((4, 2)), sample_weight=[1.0, 0.0, 0.5, 0.5], global_batch_size=8)
    assert float(average) == 0.5
    with pytest.raises(ValueError, match="a loss for each sample, received a scalar"):
        tf.nn.compute_average_loss(tf.constant(1.0))


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "function"])
def test_metrics_give_the_results_of_all_ranks(compiled):
    def results(strategy):
        with strategy.scope():
            metrics = tf.keras.metrics.Mean(), tf.keras.metrics.AUC(), tf.keras.metrics.Sum()

        def step(x, y):
            for metric, values in zip(metrics, ([x], [y % 2, tf.sigmoid(x[:, 0])], [y]), strict=True):
                metric.update_state(*values)

        def whole_step(*batch):
            strategy.experimental_run_v2(step, args=batch)

        run = tf.function(whole_step) if compiled else whole_step
        for batch in strategy.experimental_distribute_dataset(BATCHES):
            run(*batch)
        return [float(metric.result()) for metric in metrics]

    expected = results(tf.distribute.OneDeviceStrategy())
    np.testing.assert_allclose(results(tf.distribute.MirroredStrategy()), expected, rtol=1e-6)
    assert expected[2] == Y.sum()


def test_replicas_sum_what_each_has():
    strategy = tf.distribute.MirroredStrategy()
    ranks = strategy.num_replicas_in_sync

    def step():
        replica = tf.distribute.get_replica_context()
        x = tf.constant(float(replica.replica_id_in_sync_group))
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = replica.all_reduce(tf.distribute.ReduceOp.SUM, {"x": x})["x"]
        return total, replica.all_reduce("mean", x), tape.gradient(total, x)

    expected = ranks * (ranks - 1) / 2
    for run in (step, tf.function(step)):
        assert [float(x) for x in strategy.experimental_run_v2(run)] == [expected, expected / ranks, ranks]
