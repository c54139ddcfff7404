"""Writes data/optimizers.npz: what Keras 2's optimizers make of some variables, their state, configs and schedules.

Run with TensorFlow and tf-keras installed: TF_USE_LEGACY_KERAS=1 python -m tests.keras.optimizers.record_optimizers
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.keras.optimizers.cases import CASES, OLD_SCHEDULES, SCHEDULE_STEPS, SCHEDULES, STEPS, gradients, start


def main() -> None:
    recorded = {}
    for index, (name, arguments) in enumerate(CASES):
        optimizer = getattr(tf.keras.optimizers.legacy, name)(**arguments)
        recorded[f"{index} config before"] = json.dumps(optimizer.get_config(), default=float)
        variables = [tf.Variable(value, name=key) for key, value in start().items()]
        for step in range(STEPS):
            optimizer.apply_gradients(zip(map(tf.constant, gradients(step)), variables, strict=True))
            for i, variable in enumerate(variables):
                recorded[f"{index} variable {i} step {step}"] = variable.numpy()
        for i, weight in enumerate(optimizer.weights):
            recorded[f"{index} weight {i}"] = weight.numpy()
        recorded[f"{index} weight names"] = json.dumps([weight.name for weight in optimizer.weights])
        recorded[f"{index} config"] = json.dumps(optimizer.get_config(), default=float)
    for index, (name, arguments) in enumerate(SCHEDULES):
        if name in OLD_SCHEDULES:
            old = getattr(tf.compat.v1.train, OLD_SCHEDULES[name])
            rate, rest = arguments["initial_learning_rate"], dict(list(arguments.items())[1:])
            recorded[f"schedule {index}"] = np.array([old(rate, step, **rest)().numpy() for step in SCHEDULE_STEPS])
            continue
        schedule = getattr(tf.keras.optimizers.schedules, name)(**arguments)
        recorded[f"schedule {index}"] = np.array([schedule(tf.constant(step)).numpy() for step in SCHEDULE_STEPS])
        recorded[f"schedule {index} config"] = json.dumps(schedule.get_config())
    np.savez_compressed(Path(__file__).parent / "data" / "optimizers.npz", **recorded)


if __name__ == "__main__":
    main()
