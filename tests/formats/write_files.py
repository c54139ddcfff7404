"""Writes files for check_in_keras.py, and what their models predict.

Run with distkeras, from the repository's root:  python -m tests.formats.write_files FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import distkeras as tf
from distkeras.keras.saving import archive_writing
from tests.formats.exported_models import FIRST_CASES, build
from tests.formats.models import MODELS, data, sequential, trained

WITHOUT_DROPOUT = {"sequential": lambda: sequential(rate=0.0)}
OPTIMIZERS = {
    "adam": lambda: tf.keras.optimizers.Adam(0.01),
    "momentum": lambda: tf.keras.optimizers.SGD(0.1, momentum=0.9),
    "rmsprop": lambda: tf.keras.optimizers.RMSprop(0.01),
    "schedule": lambda: tf.keras.optimizers.SGD(tf.keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)),
}
LOSSES = {
    "names": ("mse", ["mae", "accuracy"]),
    "objects": (tf.keras.losses.CategoricalCrossentropy(label_smoothing=0.1), [tf.keras.metrics.AUC(name="area")]),
}
# Not binary_crossentropy: tf_keras takes what goes into a softmax for the logits of a sigmoid.
BY_NAME = """
    mse mae mape msle kld mean_squared_error kullback_leibler_divergence categorical_crossentropy hinge
    squared_hinge categorical_hinge logcosh huber_loss poisson cosine_similarity
""".split()
LOSSES |= {name: (name, ["mse"]) for name in BY_NAME}


def main(folder: Path) -> None:
    """Write NAME.h5, NAME_w.h5 and NAME.npz: inputs, targets, predictions, and predictions after one more step.

    And layer_NAME.keras with layer_NAME.npz, inputs and outputs, of every layer that Keras 3 has.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cases = [(model, optimizer, "objects") for model in MODELS for optimizer in OPTIMIZERS]
    # every loss that has a name
    cases += [("functional", "momentum", losses) for losses in BY_NAME]
    cases += [("functional", "adam", losses) for losses in LOSSES]
    for make, optimizer, losses in cases:
        # masks of dropout are not the same elsewhere
        model = trained(WITHOUT_DROPOUT.get(make, MODELS[make]), OPTIMIZERS[optimizer](), *LOSSES[losses])
        name = f"{make}_{optimizer}_{losses}"
        model.save(folder / f"{name}.h5")
        model.save_weights(folder / f"{name}_w.h5")
        if losses == "objects":
            model.save(folder / f"{name}.keras", save_format="keras_v3")
        x, y = data(model)
        arrays = {f"x{index}": array for index, array in enumerate(x)} | {"y": y, "p": model.predict(x)}
        model.train_on_batch(x, y)
        np.savez(folder / f"{name}.npz", q=model.predict(x), **arrays)
        print(name)
    for name in FIRST_CASES:
        if name not in archive_writing.UNKNOWN_LAYERS:
            model, x, outputs = build(name)
            model.save(folder / f"layer_{name}.keras", save_format="keras_v3")
            arrays = {f"x{index}": array for index, array in enumerate(x)} | {"p": next(iter(outputs.values()))}
            np.savez(folder / f"layer_{name}.npz", **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
