"""Makes the files in data/ that tf_keras and Keras 3 have written, and what their models predict.

Run where TensorFlow, tf-keras and Keras 3 are installed, from the repository's root:
    TF_USE_LEGACY_KERAS=1 python tests/formats/record_keras_files.py tfk
    python tests/formats/record_keras_files.py k3

NAME.h5, NAME.keras    a model after two steps of training
NAME.npz               its inputs x0.., targets y, predictions p; predictions q after one more step on all samples
The files tf20_* in data/ were written by TensorFlow 2.0.0 itself: a = Input((4,)); b = Input((5, 2));
inner = Sequential([Dense(3, name "id")]); joined = Concatenate(name "c")([inner(a), LSTM(3, name "ls")(b)]);
o = Dense(2)(BatchNormalization(name "bn")(joined)); trained with Adam(0.01), "mse" and ["mae"] on r = RandomState(0):
fit([r.rand(8, 4), r.rand(8, 5, 2)], r.rand(8, 2)); tf20_p.npz holds p = predict([r.rand(4, 4), r.rand(4, 5, 2)]).
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np

DATA = Path(__file__).parent / "data"


def functional(keras):
    layers = keras.layers
    a = layers.Input((4,), name="a")
    b = layers.Input((6, 6, 2), name="b")
    inner = keras.Sequential([layers.Input((4,)), layers.Dense(3, activation="tanh", name="id")], name="inner")
    image = layers.Conv2D(3, 3, strides=2, padding="same", use_bias=False, name="conv")(b)
    image = layers.BatchNormalization(name="bn")(image)
    image = layers.MaxPooling2D(2, strides=1, name="pool")(image)
    joined = layers.Concatenate(name="join")([inner(a), layers.Flatten(name="flat")(image)])
    model = keras.Model([a, b], layers.Dense(2, name="out")(joined), name="functional")
    return model, keras.losses.MeanSquaredError(), ["mae"], [(4,), (6, 6, 2)]


def sequential(keras):
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((5, 5, 1)),
            layers.Conv2D(2, 3, activation="relu", kernel_regularizer=keras.regularizers.l2(0.01), name="conv"),
            layers.Flatten(name="flat"),
            layers.Dense(4, activation="relu", name="hidden"),
            layers.Dense(2, activation="softmax", name="out"),
        ],
        name="sequential",
    )
    return model, "categorical_crossentropy", ["accuracy"], [(5, 5, 1)]


def optimizers(keras, which):
    found = {"adam": keras.optimizers.Adam(0.01), "rmsprop": keras.optimizers.RMSprop(0.01)}
    found["sgd"] = keras.optimizers.SGD(0.05, momentum=0.9)
    if which == "tfk":
        found["legacy_adam"] = keras.optimizers.legacy.Adam(0.01)
        found["legacy_sgd"] = keras.optimizers.legacy.SGD(0.05, momentum=0.9)
    return found


def record(keras, which, make, optimizer_name, optimizer, endings):
    model, loss, metrics, shapes = make(keras)
    random = np.random.RandomState(1)
    x = [random.rand(8, *shape).astype("float32") for shape in shapes]
    y = np.eye(2, dtype="float32")[random.randint(0, 2, 8)]
    model.compile(optimizer, loss, metrics=metrics)
    model.fit(x, y, batch_size=4, epochs=1, shuffle=False, verbose=0)
    name = f"{which}_{model.name}_{optimizer_name}"
    for ending in endings:
        model.save(DATA / (name + ending))
    arrays = {f"x{index}": array for index, array in enumerate(x)}
    arrays |= {"y": y, "p": model.predict(x, verbose=0)}
    model.train_on_batch(x, y)
    np.savez_compressed(DATA / f"{name}.npz", q=model.predict(x, verbose=0), **arrays)


def main(which):
    import tensorflow as tf

    keras = tf.keras
    is_legacy = "tf_keras" in keras.Model.__module__
    assert is_legacy == (which == "tfk"), f"this is {keras.Model.__module__}: see above how to run it"
    keras.utils.set_random_seed(0)
    endings = [".h5"] if which == "tfk" else [".h5", ".keras"]
    for make in (functional, sequential):
        for name, optimizer in optimizers(keras, which).items():
            if make is functional or name in ("adam", "legacy_adam"):
                record(keras, which, make, name, optimizer, endings)


if __name__ == "__main__":
    main(sys.argv[1])
