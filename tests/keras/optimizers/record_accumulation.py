"""Records what Keras 3's optimizers do with gradient_accumulation_steps, for test_accumulation.py: needs keras 3.

python tests/keras/optimizers/record_accumulation.py
"""

from pathlib import Path

import keras
import numpy as np

STEPS, SIZE, COUNT = 3, 7, 8


def record() -> None:
    generator = np.random.default_rng(0)
    start, gradients = generator.normal(size=SIZE), generator.normal(size=(COUNT, SIZE))
    results = {"start": start.astype("float32"), "gradients": gradients.astype("float32")}
    options = {"gradient_accumulation_steps": STEPS}
    makers = {
        "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9, **options),
        "adam": lambda: keras.optimizers.Adam(0.01, **options),
        "clipped": lambda: keras.optimizers.SGD(0.1, clipnorm=0.5, **options),
        "schedule": lambda: keras.optimizers.SGD(
            keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=1, decay_rate=0.5), **options
        ),
    }
    for name, make in makers.items():
        optimizer, variable = make(), keras.Variable(results["start"])
        optimizer.build([variable])
        values, counts = [], []
        for gradient in results["gradients"]:
            optimizer.apply_gradients([(gradient, variable)])
            values.append(np.array(variable))
            counts.append(int(optimizer.iterations))
        results[name], results[f"{name} iterations"] = np.stack(values), np.array(counts)
    np.savez_compressed(Path(__file__).parent / "data" / "accumulation.npz", **results)


if __name__ == "__main__":
    record()
