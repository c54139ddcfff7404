"""The properties of a model, before it is built, compiled and trained, and after; and the methods without data."""

import numpy as np
import pytest

import distkeras as tf

keras, L = tf.keras, tf.keras.layers
X = np.ones((4, 3), "float32")


def functional():
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    normed = L.BatchNormalization(name="norm")(L.Dense(2, name="one", kernel_regularizer="l2")(a))
    return keras.Model([a, b], [normed, L.Dense(1, name="two")(b)], name="both")


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense, self.norm = L.Dense(2), L.BatchNormalization()

    def call(self, inputs):
        return self.norm(self.dense(inputs))


def stack():
    return keras.Sequential([L.Dense(2, input_shape=(3,)), L.BatchNormalization()])


def test_layers():
    assert [layer.name for layer in functional().layers] == ["a", "one", "b", "norm", "two"]
    assert [type(layer).__name__ for layer in stack().layers] == ["Dense", "BatchNormalization"]
    assert len(Own().layers) == 2


@pytest.mark.parametrize("make", [functional, stack, Own])
def test_metrics_names(make):
    model = make()
    assert model.metrics_names == ["loss"]
    model.compile("sgd", "mse", metrics=["mae"])
    if make is functional:
        assert model.metrics_names == ["loss", "norm_loss", "two_loss", "norm_mae", "two_mae"]
    elif make is stack:
        assert model.metrics_names == ["loss", "mae"]
    else:
        model.fit(X, X[:, :2], verbose=0)
        assert model.metrics_names == ["loss", "mae"]


@pytest.mark.parametrize("make", [stack, Own])
def test_run_eagerly(make):
    model = make()
    assert model.run_eagerly is False
    for value in (True, False, None, True):
        model.run_eagerly = value
        assert model.run_eagerly is bool(value)
    model.compile("sgd", "mse")
    assert model.run_eagerly is False
    model.compile("sgd", "mse", run_eagerly=True)
    assert model.run_eagerly is True


def test_dynamic_models_run_eagerly():
    class Dynamic(L.Layer):
        def __init__(self, **kwargs):
            super().__init__(dynamic=True, **kwargs)

        def call(self, inputs):
            return inputs * float(inputs.numpy().mean())

        def compute_output_shape(self, input_shape):
            return input_shape

    model = keras.Sequential([Dynamic(input_shape=(3,))])
    assert model.dynamic and model.run_eagerly and not stack().dynamic
    with pytest.raises(ValueError, match="You cannot set `run_eagerly=False`"):
        model.compile("sgd", "mse", run_eagerly=False)
    np.testing.assert_array_equal(model.predict(2 * X), 4 * X)


def test_sample_weights_state_updates_updates_and_stateful():
    model = functional()
    assert (model.sample_weights, model.state_updates, model.updates, model.stateful) == ([], [], [], False)
    model.compile("sgd", ["mse", None])
    assert model.sample_weights == [None]

    class Counts(L.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.stateful = True
            self.count = self.add_weight("count", initializer="zeros", trainable=False)

        def call(self, inputs):
            self.count.assign_add(1.0)
            return inputs * 1.0

        def reset_states(self):
            self.count.assign(0.0)

    counts = Counts(batch_input_shape=(4, 3))
    model = keras.Sequential([keras.Sequential([counts])])
    model.build((4, 3))
    assert model.stateful
    model.predict(X), model.predict(X)
    assert float(counts.count) == 2.0
    model.reset_states()
    assert float(counts.count) == 0.0


def test_ends_of_a_graph():
    model = functional()
    assert model.input_names == ["a", "b"] and model.output_names == ["norm", "two"]
    assert [tensor.name for tensor in model.inputs] == ["a:0", "b:0"] and model.input == model.inputs
    assert model.output == model.outputs and len(model.outputs) == 2
    assert model.input_shape == [(None, 3), (None, 3)] and model.output_shape == [(None, 2), (None, 1)]
    one = stack()
    assert one.input is one.inputs[0] and one.output is one.outputs[0]
    assert one.input_shape == (None, 3) and one.output_shape == (None, 2)
    assert model.input_spec is None and model.name == "both" and model.built


def test_a_model_without_a_graph_has_no_ends():
    model = Own()
    assert model.inputs is model.outputs is None and not model.built
    for name in ("input", "output", "input_shape", "output_shape"):
        with pytest.raises(AttributeError):
            getattr(model, name)
    model(X)
    assert model.built and model.inputs is None


@pytest.mark.parametrize("make", [stack, Own])
def test_weights(make):
    model = make()
    model.build((None, 3))
    assert [weight.shape for weight in model.trainable_weights] == [(3, 2), (2,), (2,), (2,)]
    assert [weight.shape for weight in model.non_trainable_weights] == [(2,), (2,)]
    assert {id(weight) for weight in model.weights} == {
        id(weight) for weight in [*model.trainable_weights, *model.non_trainable_weights]
    }
    assert len(model.variables) == len(model.weights) == len(model.get_weights()) == 6
    assert model.trainable_variables == model.trainable_weights and model.count_params() == 16
    model.trainable = False
    assert model.trainable_weights == [] and len(model.non_trainable_weights) == 6
    assert not any(layer.trainable for layer in model.layers)
    model.trainable = True
    doubled = [2 * value for value in model.get_weights()]
    model.set_weights(doubled)
    for one, other in zip(model.get_weights(), doubled, strict=True):
        np.testing.assert_array_equal(one, other)


def test_losses_and_metrics():
    model = functional()
    (loss,) = model.losses
    assert float(loss) == pytest.approx(0.01 * (model.get_weights()[0] ** 2).sum())
    assert model.metrics == []
    model.compile("sgd", "mse", metrics=["mae"])
    assert [metric.name for metric in model.metrics] == ["norm_mae", "two_mae"]
    model.add_metric(tf.reduce_mean(model.outputs[0]), name="mean", aggregation="mean")
    assert [metric.name for metric in model.metrics] == ["norm_mae", "two_mae", "mean"]


def test_what_compile_and_fit_leave_behind():
    model = stack()
    assert (model.optimizer, model.loss, model.history, model.stop_training) == (None, None, None, False)
    model.compile("sgd", "mse", loss_weights=[2.0])
    assert model.loss == "mse" and model.loss_weights == [2.0] and model.sample_weight_mode is None
    history = model.fit(X, X[:, :2], verbose=0)
    assert model.history is history and history.model is model


def test_get_layer():
    model = functional()
    assert model.get_layer("two") is model.layers[4] is model.get_layer(index=4) is model.get_layer(index=-1)
    assert model.get_layer("two", 1) is model.layers[1]
    assert model.get_layer(name="one").units == 2


def test_from_config_makes_another_model():
    model = functional()
    again = keras.Model.from_config(model.get_config())
    assert again.get_config() == model.get_config() and again.weights[0] is not model.weights[0]
    again.set_weights(model.get_weights())
    for one, other in zip(again.predict([X, X]), model.predict([X, X]), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("make", [functional, stack])
def test_clone_model(make):
    model = make()
    clone = keras.models.clone_model(model)
    assert clone.get_config() == model.get_config() and type(clone) is type(model)
    assert not {id(weight) for weight in clone.weights} & {id(weight) for weight in model.weights}

    def widened(layer):
        config = layer.get_config()
        return type(layer).from_config({**config, "units": 5} if "units" in config else config)

    wide = keras.models.clone_model(model, clone_function=widened)
    assert [layer.units for layer in wide.layers if hasattr(layer, "units")] == [5] * (2 if make is functional else 1)


def test_clone_model_on_given_inputs():
    given = keras.Input((3,), name="given")
    clone = keras.models.clone_model(stack(), input_tensors=given)
    assert clone.input is given and clone.predict(X).shape == (4, 2)
    given = [keras.Input((3,), name=name) for name in ("c", "d")]
    clone = keras.models.clone_model(functional(), input_tensors=given)
    assert clone.input_names == ["c", "d"] and [out.shape for out in clone.predict([X, X])] == [(4, 2), (4, 1)]


def test_names_of_the_modules():
    for name in "Model Sequential clone_model load_model model_from_config model_from_json model_from_yaml".split():
        assert callable(getattr(keras.models, name)) and name in keras.models.__all__
    assert keras.models.Model is keras.Model is tf.compat.v1.keras.models.Model is tf.compat.v2.keras.Model
    hooks = "BaseLogger CSVLogger Callback EarlyStopping History LambdaCallback LearningRateScheduler ModelCheckpoint"
    for name in f"{hooks} ProgbarLogger ReduceLROnPlateau RemoteMonitor TensorBoard TerminateOnNaN".split():
        assert issubclass(getattr(keras.callbacks, name), keras.callbacks.Callback)
        assert name in keras.callbacks.__all__
