"""Train a convolutional network on Fashion-MNIST, save it, load it again, and draw its learning curves.

    python examples/fashion_mnist.py                        one process
    distkeras run -n 4 examples/fashion_mnist.py            four ranks; --batch-size stays the global batch

Any number of ranks prints the same numbers and saves the same weights: sums over a batch are taken in one order,
`deterministic=True`. With --no-deterministic each rank adds up its own samples first, which is faster on several ranks
and rounds otherwise.

The images are taken from $KERAS_HOME, from the Debian package dataset-fashion-mnist (which is installed where that is
possible), or downloaded. Where none of this works, a smaller network learns the handwritten digits that come with
scikit-learn. What was used is printed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np

import distkeras as tf


class Data(NamedTuple):
    """Images in [0, 1] of shape (samples, height, width, 1) and their classes."""

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def main() -> None:
    options = parse_arguments()
    tf.random.set_seed(options.seed)
    strategy = tf.distribute.MirroredStrategy(deterministic=options.deterministic)
    is_first = strategy.rank == 0
    data = load_data(strategy, options.samples)
    if is_first:
        print(f"data: {data.name}; {len(data.x_train)} training and {len(data.x_test)} test images", flush=True)
        options.output.mkdir(parents=True, exist_ok=True)

    with strategy.scope():
        model = build_model(data.x_train.shape[1:], filters=32 if data.x_train.shape[1] >= 28 else 16)
        model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(
        data.x_train,
        data.y_train,
        batch_size=options.batch_size,
        epochs=options.epochs,
        validation_data=(data.x_test, data.y_test),
        verbose=2 if is_first else 0,
    )
    loss, accuracy = model.evaluate(data.x_test, data.y_test, batch_size=256, verbose=0)
    if is_first:
        print(f"test loss {loss:.4f}, test accuracy {accuracy:.4f}", flush=True)

    path = options.output / "model.h5"
    model.save(path)
    check_saved_model(model, path, data.x_test[:256], strategy)
    if is_first:
        print(f"saved to {path}; loaded again it predicts the same", flush=True)
        draw_learning_curves(history.history, options.output / "learning_curves.png", data.name)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=64, help="samples per step over all ranks (default: 64)")
    parser.add_argument("--samples", type=int, help="train on this many images only")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and dropout (default: 0)")
    parser.add_argument(
        "--deterministic",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="the same bits for any number of ranks (default: yes)",
    )
    parser.add_argument("--output", type=Path, default=Path("fashion_mnist_output"), help="folder for model and curves")
    return parser.parse_args()


def build_model(input_shape: tuple[int, ...], filters: int) -> tf.keras.Model:
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            layers.Conv2D(filters, 3, activation="relu", padding="same", input_shape=input_shape),
            layers.MaxPooling2D(),
            layers.Conv2D(2 * filters, 3, activation="relu", padding="same"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(10, activation="softmax"),
        ]
    )


def check_saved_model(model: tf.keras.Model, path: Path, x: np.ndarray, strategy: tf.distribute.Strategy) -> None:
    """Raise unless the model in the file predicts what the model in memory does."""
    with strategy.scope():
        loaded = tf.keras.models.load_model(path)
    difference = float(np.abs(loaded.predict(x) - model.predict(x)).max())
    if difference > 1e-6:
        raise RuntimeError(f"the loaded model's predictions differ by {difference}")


# --- data


def load_data(strategy: tf.distribute.Strategy, samples: int | None) -> Data:
    """Fashion-MNIST, or else digits; all ranks the same."""
    if strategy.communicator.local_rank == 0:
        install_debian_package()
    strategy.communicator.barrier()
    try:
        (x_train, y_train), (x_test, y_test) = tf.keras.datasets.fashion_mnist.load_data()
        failure = None
    except OSError as error:
        failure = str(error)
    failures = [text for text in strategy.communicator.allgather_object(failure) if text is not None]
    if failures:
        if strategy.rank == 0:
            print(f"Fashion-MNIST is not to be had: {failures[0]}", flush=True)
        return load_digits(samples)
    return Data("Fashion-MNIST", *as_images(x_train[:samples], y_train[:samples], 255), *as_images(x_test, y_test, 255))


def install_debian_package() -> None:
    """Install dataset-fashion-mnist with apt-get, where this is Debian, we are root, and the data is not there yet."""
    folder, package = "/usr/share/datasets/fashion-mnist", "dataset-fashion-mnist"
    if os.path.isdir(folder) or shutil.which("apt-get") is None or os.geteuid() != 0:
        return
    print(f"installing the Debian package {package}", flush=True)
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", package]):
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=120)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"the package {package} could not be installed: {error}", flush=True)
            return


def load_digits(samples: int | None) -> Data:
    """Real handwritten digits of 8x8 pixels, enlarged to 16x16; every fifth is for testing."""
    try:
        from sklearn import datasets
    except ImportError:
        raise SystemExit("There is no data to train on: pip install scikit-learn brings some.") from None
    digits = datasets.load_digits()
    images = digits.images.repeat(2, axis=1).repeat(2, axis=2)
    is_test = np.arange(len(images)) % 5 == 0
    train = as_images(images[~is_test][:samples], digits.target[~is_test][:samples], 16)
    return Data("scikit-learn's digits", *train, *as_images(images[is_test], digits.target[is_test], 16))


def as_images(x: np.ndarray, y: np.ndarray, brightest: float) -> tuple[np.ndarray, np.ndarray]:
    return x[..., np.newaxis].astype(np.float32) / brightest, y.astype(np.int64)


# --- learning curves


def draw_learning_curves(history: dict[str, list[float]], path: Path, title: str) -> None:
    """Draw loss and accuracy by epoch for training and test data."""
    try:
        import matplotlib
    except ImportError:
        print("matplotlib is not installed, so no learning curves are drawn: pip install matplotlib", flush=True)
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    epochs = range(1, len(history["loss"]) + 1)
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for axis, name in zip(axes, ("loss", "accuracy"), strict=True):
        axis.plot(epochs, history[name], "o-", label="training")
        axis.plot(epochs, history[f"val_{name}"], "o-", label="test")
        axis.set(xlabel="epoch", ylabel=name, xticks=list(epochs))
        axis.grid(alpha=0.3)
        axis.legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
    print(f"learning curves: {path}", flush=True)


if __name__ == "__main__":
    main()
