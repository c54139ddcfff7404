"""`distkeras warmup`: compile all kernels into the cache now, so that no training has to."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import time
from collections.abc import Iterator

import numpy as np


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add `warmup` to the command line."""
    parser = commands.add_parser(
        "warmup",
        help="compile the kernels into the cache",
        description="Compile every kernel for the given element types and train two small models, which compiles the "
        "kernels that are made for a model's shapes. On a cluster run it once where the cache folder is shared.",
    )
    parser.add_argument(
        "--dtype",
        action="append",
        choices=("float32", "float64"),
        help="element type, float32 by default; may be given twice",
    )
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Compile, and tell how many kernels in how many seconds."""
    from distkeras.kernels.compile import cache_directory

    dtypes = [np.dtype(name) for name in options.dtype or ["float32"]]
    begun, count = time.monotonic(), 0
    for kernel in all_kernels():
        for dtype in dtypes:
            kernel[dtype.type]
            count += 1
    print(f"{count} kernels compiled or loaded in {time.monotonic() - begun:.1f} s: {cache_directory()}", flush=True)
    begun = time.monotonic()
    for dtype in dtypes:
        train_small_models(dtype.name)
    print(f"small models trained in {time.monotonic() - begun:.1f} s")
    return 0


def all_kernels() -> Iterator:
    """Every `Kernel` that a module of `distkeras.kernels` defines, and those made of rules for ranks of a node."""
    from distkeras import kernels
    from distkeras.kernels import summed_update
    from distkeras.kernels.compile import Kernel

    for module_info in pkgutil.iter_modules(kernels.__path__, kernels.__name__ + "."):
        module = importlib.import_module(module_info.name)
        for value in vars(module).values():
            if isinstance(value, Kernel) and value.python.__module__ == module.__name__:
                yield value
    yield from map(summed_update.of_sums, summed_update.rules())


def train_small_models(dtype: str) -> None:
    """One epoch of a dense and of a convolutional network on random data, with the default optimizer."""
    import distkeras as tf

    random = np.random.default_rng(0)
    layers = tf.keras.layers
    dense = [layers.Flatten(), layers.Dense(32, activation="relu"), layers.Dropout(0.5)]
    convolutional = [
        layers.Conv2D(8, 3, activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(),
        layers.Flatten(),
    ]
    images, labels = random.random((40, 12, 12, 1)).astype(dtype), random.integers(0, 10, 40)
    previous = tf.keras.backend.floatx()
    tf.keras.backend.set_floatx(dtype)
    try:
        for body in (dense, convolutional):
            model = tf.keras.Sequential([*body, layers.Dense(10, activation="softmax")])
            model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
            model.fit(images, labels, batch_size=16, epochs=1, verbose=0)
            model.predict(images)
    finally:
        tf.keras.backend.set_floatx(previous)
