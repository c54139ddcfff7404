"""Trainings written once and run by both libraries: each function takes `tf.keras` and gives named numbers."""

import numpy as np


def data(samples=21, features=3, seed=0):
    random = np.random.RandomState(seed)
    x = random.randn(samples, features).astype("float32")
    return x, random


def fill(model, seed=1):
    """The same weights in both libraries, whatever their initializers draw."""
    random = np.random.RandomState(seed)
    model.set_weights([random.uniform(-0.5, 0.5, weight.shape).astype("float32") for weight in model.get_weights()])
    return model


def numbers(history, prefix=""):
    return {f"{prefix}{name}": np.asarray(values, "float64") for name, values in history.history.items()}


def dense_model(keras, units, activation=None, hidden=4, **options):
    layers = [
        keras.layers.Dense(hidden, activation="tanh", input_shape=(3,), **options),
        keras.layers.Dense(units, activation=activation),
    ]
    return fill(keras.Sequential(layers))


def regression(keras):
    """A short last batch, and validation on the last quarter."""
    x, random = data()
    model = dense_model(keras, 1)
    model.compile("sgd", "mse", metrics=["mae", keras.metrics.RootMeanSquaredError(name="rmse")])
    y = x @ [1.0, -2.0, 0.5]
    history = model.fit(x, y, batch_size=8, epochs=3, validation_split=0.25, shuffle=False, verbose=0)
    return {**numbers(history), "predictions": model.predict(x, batch_size=5), "end": model.evaluate(x, y, verbose=0)}


def weighted_classes(keras):
    """Class weights, then sample weights; weighted and plain metrics."""
    x, random = data()
    y = random.randint(0, 3, (21, 1))
    weights = random.uniform(0.1, 2.0, 21)
    model = dense_model(keras, 3, "softmax")
    model.compile(
        "sgd",
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="weighted")],
    )
    options = {"batch_size": 6, "epochs": 3, "shuffle": False, "verbose": 0}
    by_class = model.fit(x, y, class_weight={0: 1.0, 1: 0.5, 2: 3.0}, validation_data=(x, y), **options)
    validation = (x[::2], y[::2], weights[::2])
    by_sample = model.fit(x, y, sample_weight=weights, validation_data=validation, **options)
    return {**numbers(by_class, "class_"), **numbers(by_sample, "sample_")}


def one_hot(keras):
    """Accuracy and cross-entropy by the form of the targets."""
    x, random = data()
    y = np.eye(4, dtype="float32")[random.randint(0, 4, 21)]
    model = dense_model(keras, 4, "softmax")
    model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy", metrics=["acc", "crossentropy"])
    return numbers(model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0))


def binary(keras):
    x, random = data()
    y = random.randint(0, 2, 21)
    model = dense_model(keras, 1, "sigmoid")
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy", keras.metrics.AUC(name="auc")])
    return numbers(model.fit(x, y, batch_size=10, epochs=2, shuffle=False, verbose=0))


def summed(keras):
    """A loss that is a sum over the batch, beside an l2 penalty."""
    x, random = data()
    model = dense_model(keras, 1, kernel_regularizer=keras.regularizers.l2(0.1))
    model.compile(keras.optimizers.SGD(0.001), keras.losses.MeanSquaredError(reduction="sum"))
    return numbers(model.fit(x, x[:, 0], batch_size=7, epochs=2, shuffle=False, verbose=0))


def two_outputs(keras):
    """Losses, weights and metrics by output name."""
    x, random = data()
    inputs = keras.Input((3,), name="features")
    hidden = keras.layers.Dense(4, activation="tanh", name="hidden")(inputs)
    outputs = [
        keras.layers.Dense(1, name="price")(hidden),
        keras.layers.Dense(3, activation="softmax", name="kind")(hidden),
    ]
    model = fill(keras.Model(inputs, outputs))
    model.compile(
        "sgd",
        loss={"price": "mse", "kind": "sparse_categorical_crossentropy"},
        loss_weights={"price": 0.5, "kind": 2.0},
        metrics={"kind": "accuracy", "price": ["mae", "mse"]},
    )
    targets = {"price": x @ [1.0, 2.0, 3.0], "kind": random.randint(0, 3, (21, 1))}
    weights = {"price": random.uniform(0, 1, 21)}
    history = model.fit(
        {"features": x},
        targets,
        sample_weight=weights,
        batch_size=7,
        epochs=3,
        shuffle=False,
        verbose=0,
        validation_data=(x, [targets["price"], targets["kind"]]),
    )
    price, kind = model.predict(x)
    return {**numbers(history), "price": price, "kind": kind}


def timesteps(keras):
    """Weights per timestep."""
    random = np.random.RandomState(0)
    x, weights = random.randn(10, 5, 3).astype("float32"), random.uniform(0, 1, (10, 5))
    model = fill(keras.Sequential([keras.layers.Dense(1, input_shape=(5, 3))]))
    model.compile("sgd", "mse", sample_weight_mode="temporal", weighted_metrics=["mae"])
    y = x.sum(-1, keepdims=True)
    return numbers(model.fit(x, y, batch_size=4, epochs=2, sample_weight=weights, shuffle=False, verbose=0))


def generator(keras):
    """Batches of different sizes from a generator, trained on and evaluated on."""
    x, random = data(24)
    y = x @ [[1.0], [2.0], [3.0]]

    def batches():
        while True:
            for start, stop in ((0, 8), (8, 10), (10, 24)):
                yield x[start:stop], y[start:stop], np.arange(start, stop) / 24

    model = dense_model(keras, 1)
    model.compile("sgd", "mse", metrics=["mae"])
    history = model.fit(
        batches(), steps_per_epoch=3, epochs=2, verbose=0, validation_data=batches(), validation_steps=3
    )
    return {**numbers(history), "end": model.evaluate(batches(), steps=3, verbose=0)}


def on_batch(keras):
    """Single steps, with metrics that go on."""
    x, random = data(16)
    y = x[:, :1] * 2
    model = dense_model(keras, 1)
    model.compile("sgd", "mse", metrics=["mae"])
    steps = [model.train_on_batch(x[i : i + 4], y[i : i + 4]) for i in range(0, 16, 4)]
    tests = [model.test_on_batch(x[i : i + 4], y[i : i + 4]) for i in range(0, 16, 4)]
    return {"steps": steps, "tests": tests, "predictions": model.predict_on_batch(x)}


def learning_rates(keras):
    """Callbacks that act on the training."""
    x, random = data()
    y = random.randn(21, 1)
    model = dense_model(keras, 1)
    model.compile(keras.optimizers.Adam(0.3), "mse")
    callbacks = [
        keras.callbacks.ReduceLROnPlateau(patience=1, factor=0.5, min_delta=0.2),
        keras.callbacks.EarlyStopping(patience=4, restore_best_weights=True),
    ]
    history = model.fit(
        x, y, batch_size=8, epochs=12, shuffle=False, verbose=0, validation_data=(x[:5], -y[:5]), callbacks=callbacks
    )
    return {**numbers(history), "best": model.predict(x)}


CASES = {
    function.__name__: function
    for function in (
        regression,
        weighted_classes,
        one_hot,
        binary,
        summed,
        two_outputs,
        timesteps,
        generator,
        on_batch,
        learning_rates,
    )
}
