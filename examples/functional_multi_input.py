"""Train one network with two inputs and two outputs on measurements of wines.

    python examples/functional_multi_input.py                   one process
    distkeras run -n 2 examples/functional_multi_input.py       two ranks; --batch-size stays the global batch

From a wine's phenols and from its colour, which are looked at apart and then together, the network tells the cultivar
it was made of and how much alcohol it has. The data are scikit-learn's.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np

import distkeras as tf

PHENOLS = ["total_phenols", "flavanoids", "nonflavanoid_phenols", "proanthocyanins"]
COLOUR = ["color_intensity", "hue", "od280/od315_of_diluted_wines", "proline"]


class Part(NamedTuple):
    """Inputs and targets by the names that the model gives them."""

    x: dict[str, np.ndarray]
    y: dict[str, np.ndarray]


def main() -> None:
    options = parse_arguments()
    tf.random.set_seed(options.seed)
    strategy = tf.distribute.MirroredStrategy()
    is_first = strategy.rank == 0
    training, test = load_data()

    with strategy.scope():
        model = build_model()
        model.compile(
            optimizer=tf.keras.optimizers.Adam(0.01),
            loss={"cultivar": "sparse_categorical_crossentropy", "alcohol": "mse"},
            loss_weights={"cultivar": 1.0, "alcohol": 0.5},
            metrics={"cultivar": "accuracy", "alcohol": ["mae"]},
        )
    if is_first:
        model.summary()
    model.fit(
        training.x,
        training.y,
        batch_size=options.batch_size,
        epochs=options.epochs,
        validation_data=test,
        validation_freq=10,
        callbacks=[tf.keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=5)],
        verbose=0,
    )
    results = dict(zip(model.metrics_names, model.evaluate(test.x, test.y, verbose=0), strict=True))
    if is_first:
        print(f"cultivar: accuracy {results['cultivar_accuracy']:.3f} on {len(test.x['colour'])} wines")
        print(f"alcohol: mean error {results['alcohol_mae']:.3f} standard deviations", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=16, help="samples per step over all ranks (default: 16)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order (default: 0)")
    return parser.parse_args()


def build_model() -> tf.keras.Model:
    """Two branches, joined, and two heads."""
    layers = tf.keras.layers
    inputs = [tf.keras.Input((len(names),), name=name) for name, names in (("phenols", PHENOLS), ("colour", COLOUR))]
    branches = [layers.Dense(16, activation="relu")(each) for each in inputs]
    joined = layers.Dense(16, activation="relu")(layers.Concatenate()(branches))
    outputs = [layers.Dense(3, activation="softmax", name="cultivar")(joined), layers.Dense(1, name="alcohol")(joined)]
    return tf.keras.Model(inputs, outputs, name="wines")


def load_data() -> tuple[Part, Part]:
    """Four fifths of the wines to train on, the others to test."""
    try:
        from sklearn import datasets
    except ImportError:
        raise SystemExit("There is no data to train on: pip install scikit-learn brings some.") from None
    wines = datasets.load_wine()
    values = (wines.data - wines.data.mean(axis=0)) / wines.data.std(axis=0)
    column = {name: values[:, i].astype("float32") for i, name in enumerate(wines.feature_names)}

    def part(rows: np.ndarray) -> Part:
        x = {"phenols": [column[name] for name in PHENOLS], "colour": [column[name] for name in COLOUR]}
        return Part(
            {name: np.stack(columns, axis=1)[rows] for name, columns in x.items()},
            {"cultivar": wines.target[rows], "alcohol": column["alcohol"][rows]},
        )

    is_test = np.arange(len(values)) % 5 == 0
    return part(~is_test), part(is_test)


if __name__ == "__main__":
    main()
