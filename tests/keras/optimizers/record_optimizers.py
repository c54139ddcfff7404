"""Writes data/optimizers.npz: what Keras 2's optimizers make of some variables, their state, configs and schedules.

Run with TensorFlow and tf-keras installed: TF_USE_LEGACY_KERAS=1 python -m tests.keras.optimizers.record_optimizers
"""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tests.keras.optimizers.cases import (
    CASES,
    CLIPS,
    LATER,
    OLD_SCHEDULES,
    SCHEDULE_STEPS,
    SCHEDULES,
    SHAPES,
    STEPS,
    gradients,
    rows,
    start,
    table,
)
from tests.kernels import naive_update


def later(name: str, arguments: dict) -> list[dict[str, np.ndarray]]:
    """The variables after each step: by Keras 3 where it knows the optimizer and the arguments, else by the formula."""
    values, after = start(), []
    if name == "AdamW" or set(arguments) <= {"learning_rate", "beta_1", "epsilon"} and name == "LAMB":
        excluded = (given := dict(arguments)).pop("exclude_from_weight_decay", None)
        optimizer = getattr(keras.optimizers, {"LAMB": "Lamb"}.get(name, name))(
            **{"epsilon": 1e-6, **given} if name == "LAMB" else given
        )
        variables = [keras.Variable(value, name=key.replace("/", "_")) for key, value in values.items()]
        if excluded:
            optimizer.exclude_from_weight_decay(var_names=excluded)
        for step in range(STEPS):
            optimizer.apply(gradients(step), variables)
            after.append({key: np.array(variable) for key, variable in zip(values, variables, strict=True)})
        return after
    state: dict[str, list] = {key: [0.0] * (2 if name == "LAMB" else 1) for key in values}
    for step in range(STEPS):
        for key, gradient in zip(values, gradients(step), strict=True):
            values[key], state[key] = by_formula(name, arguments, key, step, values[key], gradient, state[key])
        after.append(dict(values))
    return after


def by_formula(name, arguments, key, step, value, gradient, slots):
    excluded = arguments.get("exclude_from_weight_decay", [])
    decay = 0.0 if any(part in key for part in excluded) else arguments.get("weight_decay", 0.0)
    unadapted = arguments.get("exclude_from_layer_adaptation", excluded)
    adapted = not any(part.strip("^") in key for part in unadapted)
    if name == "LAMB":
        rates = (0.001, 0.9, 0.999, 1 / (1 - 0.9 ** (step + 1)), 1 / (1 - 0.999 ** (step + 1)), 1e-6, decay)
        return naive_update.lamb(value.astype(float), gradient, *slots, *rates, adapted=adapted)
    rate = arguments.get("learning_rate", 0.01) / (1 + arguments.get("decay", 0.0) * step)
    trust, epsilon = arguments.get("trust_coefficient", 0.001), arguments.get("epsilon", 0.0)
    rates = (rate, arguments.get("momentum", 0.9), decay, trust, epsilon, arguments.get("nesterov", False))
    return naive_update.lars(value.astype(float), gradient, *slots, *rates, adapted=adapted)


def tables(optimizer) -> np.ndarray:
    """A table after each step with a gradient of some of its rows."""
    variable, after = tf.Variable(table()), []
    for step in range(STEPS):
        values, indices = map(tf.constant, rows(step))
        optimizer.apply_gradients([(tf.IndexedSlices(values, indices, variable.shape), variable)])
        after.append(variable.numpy())
    return np.stack(after)


def main() -> None:
    recorded = {}
    for index, (name, arguments) in enumerate(CASES):
        if name in LATER:
            after = later(name, arguments)
            recorded |= {f"{index} variable {i}": np.float32([v[key] for v in after]) for i, key in enumerate(SHAPES)}
            continue
        optimizer = getattr(tf.keras.optimizers.legacy, name)(**arguments)
        recorded[f"{index} config before"] = json.dumps(optimizer.get_config(), default=float)
        variables = [tf.Variable(value, name=key) for key, value in start().items()]
        after = []
        for step in range(STEPS):
            optimizer.apply_gradients(zip(map(tf.constant, gradients(step)), variables, strict=True))
            after.append([variable.numpy() for variable in variables])
        recorded |= {f"{index} variable {i}": np.stack(steps) for i, steps in enumerate(zip(*after, strict=True))}
        for i, weight in enumerate(optimizer.weights):
            recorded[f"{index} weight {i}"] = weight.numpy()
        recorded[f"{index} weight names"] = json.dumps([weight.name for weight in optimizer.weights])
        recorded[f"{index} config"] = json.dumps(optimizer.get_config(), default=float)
        if not any(clip in arguments for clip in CLIPS):
            recorded[f"{index} table"] = tables(getattr(tf.keras.optimizers.legacy, name)(**arguments))
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
