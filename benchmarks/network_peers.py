"""One contestant of `benchmarks.networks`: trains a network in a process of its own; see `peers.py`.

Usage: python network_peers.py {distkeras,torch,tf} CASE BATCH_SIZE VARIANT
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable

WORDS, CLASSES = 10000, 10
# What a sample is: the length of a text, or a shape of numbers.
INPUTS: dict[str, int | tuple] = {
    "lstm text": 100,
    "gru text": 100,
    "embedding": 100,
    "conv1d text": 100,
    "transformer": 64,
    "conv1d signal": (128, 9),
    "tabular": (30,),
    "autoencoder": (784,),
    "vgg": (32, 32, 3),
    "resnet": (32, 32, 3),
    "mobilenet": (32, 32, 3),
}
OF_IMAGES = ("vgg", "resnet", "mobilenet")
Steps = Callable[[int], None]


def main() -> None:
    from peers import run  # its neighbour, where this is a program, not a part of a package

    peer, case, batch_size, variant = sys.argv[1:5]
    make = torch_peer if peer == "torch" else functools.partial(keras_peer, peer)
    run(lambda: make(case, int(batch_size), variant))


def samples(case: str, batch_size: int) -> tuple:
    """A batch and its targets, as NumPy arrays."""
    import numpy as np

    generator, inputs = np.random.default_rng(0), INPUTS[case]
    if isinstance(inputs, int):
        x = generator.integers(0, WORDS, (batch_size, inputs))
    else:
        x = generator.random((batch_size, *inputs), np.float32)
    return x, x if case == "autoencoder" else generator.integers(0, CLASSES, batch_size)


# --- in Keras


def keras_peer(peer: str, case: str, batch_size: int, variant: str) -> Steps:
    """distkeras, or TensorFlow: the same calls."""
    import numpy as np

    tf = importlib.import_module({"tf": "tensorflow"}.get(peer, peer))
    if peer == "tf":
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    inputs = INPUTS[case]
    is_text = isinstance(inputs, int)
    x = tf.keras.Input((inputs,) if is_text else inputs, dtype="int32" if is_text else "float32")
    model = tf.keras.Model(x, KERAS[case](tf.keras.layers, x))
    loss = "binary_crossentropy" if case == "autoencoder" else "sparse_categorical_crossentropy"
    model.compile(tf.keras.optimizers.Adam(1e-4), loss)
    batch, targets = samples(case, batch_size)
    batch = batch.astype("int32") if is_text else batch
    targets = batch if case == "autoencoder" else targets

    @functools.cache  # made in the round that warms up
    def data(count: int) -> tuple:
        return tuple(np.tile(array, (count, *(1,) * (array.ndim - 1))) for array in (batch, targets))

    def steps(count: int) -> None:
        model.fit(*data(count), batch_size, epochs=1, verbose=0, shuffle=False)

    return steps


def keras_text(layers, x, width: int = 64):
    return layers.Embedding(WORDS, width)(x)


def keras_classes(layers, x):
    return layers.Dense(CLASSES, activation="softmax")(x)


def keras_lstm(layers, x):
    return keras_classes(layers, layers.LSTM(64)(keras_text(layers, x)))


def keras_gru(layers, x):
    return keras_classes(layers, layers.Bidirectional(layers.GRU(64))(keras_text(layers, x)))


def keras_embedding(layers, x):
    x = layers.GlobalAveragePooling1D()(keras_text(layers, x))
    return keras_classes(layers, layers.Dense(64, activation="relu")(x))


def keras_conv1d_text(layers, x):
    x = layers.GlobalMaxPooling1D()(layers.Conv1D(128, 5, activation="relu")(keras_text(layers, x)))
    return keras_classes(layers, layers.Dense(64, activation="relu")(x))


def keras_conv1d_signal(layers, x):
    x = layers.Conv1D(64, 3, activation="relu")(x)
    x = layers.Dropout(0.5)(layers.Conv1D(64, 3, activation="relu")(x))
    x = layers.Flatten()(layers.MaxPooling1D(2)(x))
    return keras_classes(layers, layers.Dense(100, activation="relu")(x))


def keras_transformer(layers, x):
    class Positions(layers.Layer):
        """Adds a vector for each place."""

        def build(self, shape):
            self.table = self.add_weight("table", tuple(shape)[1:], initializer="uniform")
            super().build(shape)

        def call(self, x):
            return x + self.table

    x = Positions()(keras_text(layers, x))
    x = layers.LayerNormalization()(layers.Add()([x, layers.MultiHeadAttention(4, 16)(x, x)]))
    hidden = layers.Dense(64)(layers.Dense(256, activation="relu")(x))
    x = layers.LayerNormalization()(layers.Add()([x, hidden]))
    return keras_classes(layers, layers.GlobalAveragePooling1D()(x))


def keras_tabular(layers, x):
    for units in (128, 64):
        x = layers.ReLU()(layers.BatchNormalization()(layers.Dense(units)(x)))
        x = layers.Dropout(0.2)(x)
    return keras_classes(layers, x)


def keras_autoencoder(layers, x):
    for units in (128, 64, 128):
        x = layers.Dense(units, activation="relu")(x)
    return layers.Dense(784, activation="sigmoid")(x)


def keras_vgg(layers, x):
    for filters in (32, 64):
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.Dropout(0.25)(layers.MaxPooling2D()(x))
    return keras_classes(layers, layers.Dense(256, activation="relu")(layers.Flatten()(x)))


def keras_normed(layers, x, filters: int, size: int = 3, strides: int = 1, relu: bool = True):
    x = layers.Conv2D(filters, size, strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.ReLU()(x) if relu else x


def keras_resnet(layers, x):
    x = keras_normed(layers, x, 32)
    for filters, strides in ((32, 1), (64, 2)):
        short = x if strides == 1 else keras_normed(layers, x, filters, 1, strides, relu=False)
        x = keras_normed(layers, keras_normed(layers, x, filters, 3, strides), filters, relu=False)
        x = layers.ReLU()(layers.Add()([x, short]))
    return keras_classes(layers, layers.GlobalAveragePooling2D()(x))


def keras_mobilenet(layers, x):
    x = keras_normed(layers, x, 32)
    for filters, strides in ((64, 1), (128, 2), (128, 1)):
        x = layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = keras_normed(layers, x, filters, 1)
    return keras_classes(layers, layers.GlobalAveragePooling2D()(x))


KERAS = {
    "lstm text": keras_lstm,
    "gru text": keras_gru,
    "embedding": keras_embedding,
    "conv1d text": keras_conv1d_text,
    "transformer": keras_transformer,
    "conv1d signal": keras_conv1d_signal,
    "tabular": keras_tabular,
    "autoencoder": keras_autoencoder,
    "vgg": keras_vgg,
    "resnet": keras_resnet,
    "mobilenet": keras_mobilenet,
}

# --- in PyTorch


def torch_peer(case: str, batch_size: int, variant: str) -> Steps:
    from peers import prepared_torch, torch_training

    torch = prepared_torch()
    nn = torch.nn
    model = torch_network(torch, nn, case)
    x, y = (torch.from_numpy(array) for array in samples(case, batch_size))
    if not isinstance(INPUTS[case], int) and x.ndim > 2:
        x = y if x is y else x.movedim(-1, 1).contiguous()
    if variant == "channels_last":
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    loss_of = nn.BCEWithLogitsLoss() if case == "autoencoder" else nn.CrossEntropyLoss()
    return torch_training(torch, model, x, y, loss_of)


def torch_network(torch, nn, case: str):
    class Rest(nn.Module):
        """What a function makes of the input and of layers."""

        def __init__(self, rule, *parts):
            super().__init__()
            self.rule, self.parts = rule, nn.ModuleList(parts)

        def forward(self, x):
            return self.rule(x, *self.parts)

    def normed(inputs, filters, size=3, strides=1, relu=True, groups=1):
        conv = nn.Conv2d(inputs, filters, size, strides, padding=size // 2, groups=groups, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(filters), *([nn.ReLU()] if relu else []))

    def text(width=64):
        return nn.Embedding(WORDS, width)

    mean = Rest(lambda x: x.mean(1))

    def dense(*sizes):
        pairs = [[nn.Linear(m, n), nn.ReLU()] for m, n in zip(sizes[:-1], sizes[1:])]  # noqa: B905
        return [layer for pair in pairs for layer in pair][:-1]

    if case == "lstm text":
        last = Rest(lambda x, layer: layer(x)[0][:, -1], nn.LSTM(64, 64, batch_first=True))
        return nn.Sequential(text(), last, nn.Linear(64, CLASSES))
    if case == "gru text":
        both = nn.GRU(64, 64, batch_first=True, bidirectional=True)
        last = Rest(lambda x, layer: layer(x)[1].transpose(0, 1).flatten(1), both)
        return nn.Sequential(text(), last, nn.Linear(128, CLASSES))
    if case == "embedding":
        return nn.Sequential(text(), mean, *dense(64, 64, CLASSES))
    if case == "conv1d text":
        channels_first = Rest(lambda x: x.transpose(1, 2))
        largest = Rest(lambda x: x.amax(2))
        return nn.Sequential(
            text(), channels_first, nn.Conv1d(64, 128, 5), nn.ReLU(), largest, *dense(128, 64, CLASSES)
        )
    if case == "transformer":
        positions = nn.Parameter(torch.rand(INPUTS[case], 64))
        placed = Rest(lambda x: x + positions)
        placed.register_parameter("positions", positions)
        attention = nn.MultiheadAttention(64, 4, batch_first=True)
        hidden = nn.Sequential(*dense(64, 256, 64))
        attended = Rest(lambda x, a, norm: norm(x + a(x, x, x, need_weights=False)[0]), attention, nn.LayerNorm(64))
        passed = Rest(lambda x, h, norm: norm(x + h(x)), hidden, nn.LayerNorm(64))
        return nn.Sequential(text(), placed, attended, passed, mean, nn.Linear(64, CLASSES))
    if case == "conv1d signal":
        convolutions = nn.Conv1d(9, 64, 3), nn.ReLU(), nn.Conv1d(64, 64, 3), nn.ReLU(), nn.Dropout(0.5)
        return nn.Sequential(*convolutions, nn.MaxPool1d(2), nn.Flatten(), *dense(3968, 100, CLASSES))
    if case == "tabular":
        blocks = [[nn.Linear(m, n), nn.BatchNorm1d(n), nn.ReLU(), nn.Dropout(0.2)] for m, n in ((30, 128), (128, 64))]
        return nn.Sequential(*blocks[0], *blocks[1], nn.Linear(64, CLASSES))
    if case == "autoencoder":
        return nn.Sequential(*dense(784, 128, 64, 128, 784))
    pool = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    if case == "vgg":
        blocks = []
        for inputs, filters in ((3, 32), (32, 64)):
            blocks += [nn.Conv2d(inputs, filters, 3, padding=1), nn.ReLU()]
            blocks += [nn.Conv2d(filters, filters, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25)]
        return nn.Sequential(*blocks, nn.Flatten(), *dense(4096, 256, CLASSES))
    if case == "resnet":

        def residual(inputs, filters, strides):
            long = nn.Sequential(normed(inputs, filters, 3, strides), normed(filters, filters, relu=False))
            short = nn.Identity() if strides == 1 else normed(inputs, filters, 1, strides, relu=False)
            return Rest(lambda x, a, b: torch.relu(a(x) + b(x)), long, short)

        return nn.Sequential(normed(3, 32), residual(32, 32, 1), residual(32, 64, 2), *pool, nn.Linear(64, CLASSES))
    assert case == "mobilenet", case
    blocks = [normed(3, 32)]
    for inputs, filters, strides in ((32, 64, 1), (64, 128, 2), (128, 128, 1)):
        blocks += [normed(inputs, inputs, 3, strides, groups=inputs), normed(inputs, filters, 1)]
    return nn.Sequential(*blocks, *pool, nn.Linear(128, CLASSES))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
