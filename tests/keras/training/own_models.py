"""Models with steps of their own, written as for any later Keras."""

from __future__ import annotations

import distkeras as tf

keras = tf.keras


class UsesWhatWasCompiled(keras.Sequential):
    """The step that `fit` would take anyway, spelled out."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compiled_loss(y, y_pred, regularization_losses=self.losses)
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self.compiled_metrics.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}

    def test_step(self, data):
        x, y = data
        y_pred = self(x, training=False)
        self.compiled_loss(y, y_pred, regularization_losses=self.losses)
        self.compiled_metrics.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}


class KeepsItsOwnLoss(keras.Model):
    """Nothing is given to `compile`: loss, metrics and the meaning of the targets are the step's."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1, kernel_initializer="ones")
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.error = keras.metrics.MeanAbsoluteError(name="error")

    def call(self, inputs):
        return self.dense(inputs)

    @property
    def metrics(self):
        return [self.loss_tracker, self.error]

    def train_step(self, data):
        x, targets, weight = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            losses = weight * tf.reduce_mean(tf.square(y_pred - targets["sum"][0]), axis=1)
            loss = tf.nn.compute_average_loss(losses)
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self.loss_tracker.update_state(losses)
        self.error.update_state(targets["sum"][0], y_pred)
        return {"loss": self.loss_tracker.result(), "mae": self.error.result()}


class Adversaries(keras.Model):
    """Two models with an optimizer each, and no `call`."""

    def __init__(self):
        super().__init__()
        dense = keras.layers.Dense
        self.generator = keras.Sequential([dense(2, input_shape=(3,), kernel_initializer="ones")])
        self.critic = keras.Sequential([dense(1, input_shape=(2,), kernel_initializer="ones")])
        self.losses_of = keras.losses.BinaryCrossentropy(from_logits=True, reduction="none")

    def compile(self, generator_optimizer, critic_optimizer):
        super().compile()
        self.generator_optimizer, self.critic_optimizer = generator_optimizer, critic_optimizer

    def step_of(self, model, optimizer, loss_of):
        with tf.GradientTape() as tape:
            loss = tf.nn.compute_average_loss(loss_of())
        weights = model.trainable_weights
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))

    def train_step(self, real):
        count = tf.shape(real)[0]
        ones, zeros, noise = tf.ones((count, 1)), tf.zeros((count, 1)), tf.random.normal((count, 3))
        critic, generator = self.critic, self.generator
        self.step_of(
            critic,
            self.critic_optimizer,
            lambda: self.losses_of(ones, critic(real)) + self.losses_of(zeros, critic(generator(noise))),
        )
        self.step_of(generator, self.generator_optimizer, lambda: self.losses_of(ones, critic(generator(noise))))
        return {"noise": tf.reduce_mean(noise[:1]) if count else tf.constant(0.0)}


class OverlappingOptimizers(keras.Sequential):
    """Two layers and two optimizers in one step; the second one updates what the first does too, if that is wanted."""

    def compile(self, *args, overlap=False, **kwargs):
        super().compile(*args, **kwargs)
        self.other, self.overlaps = keras.optimizers.SGD(0.1, momentum=0.5), overlap

    def train_step(self, data):
        x, y = data
        with tf.GradientTape(persistent=True) as tape:
            loss = self.compiled_loss(y, self(x))
        last = self.layers[-1].trainable_variables
        first = [*self.layers[0].trainable_variables, *(last if self.overlaps else [])]
        gradients = tape.gradient(loss, first), tape.gradient(loss, last)
        self.optimizer.apply_gradients(zip(gradients[0], first, strict=True))
        self.other.apply_gradients(zip(gradients[1], last, strict=True))
        return {"loss": loss}
