"""Writes api_table.md: which public names of tf.keras 2.0 there are, and which of them behave otherwise.

    python docs/make_api_table.py

What is there is found out by asking distkeras; how it differs is written down here.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distkeras as tf

FOLDER = Path(__file__).parent
PAGE = FOLDER / "api_table.md"

# How names that are there differ from TensorFlow 2.0. What is accepted, and refused, is told in their docstrings.
DIFFERENCES = {
    "tf.keras.Input": "`tensor` is refused: a value that a model always takes belongs into a layer; models of `ragged` "
    "inputs run step by step",
    "tf.keras.layers.Input": "as `tf.keras.Input`",
    "tf.keras.layers.InputLayer": "`input_tensor` is refused",
    "tf.keras.Model.save": "subclassed models save their weights alone; `signatures` and `options` are refused",
    "tf.keras.Model.compile": "clipnorm and clipvalue of the optimizer clip in `fit`; TensorFlow 2.0 ignores them",
    "tf.keras.Model.fit": "class_weight does not weight val_loss; no samples, and a validation_split outside of "
    "(0, 1), are errors; under a strategy, batch_size is that of all ranks together",
    "tf.keras.Model.evaluate": "of generators, batches count by their size, not each alike",
    "tf.keras.backend.clear_session": "numbers names from the beginning; there is no graph to clear",
    "tf.keras.backend.gradients": "raises, as TensorFlow does when run step by step; inside of functions too",
    "tf.keras.backend.manual_variable_initialization": "changes nothing: variables have values from the beginning",
    "tf.keras.backend.placeholder": "a symbolic input of the functional API",
    "tf.keras.backend.switch": "both branches are computed; tf.cond computes one",
    "tf.keras.callbacks.TensorBoard": "embeddings are refused",
    "tf.keras.experimental.export_saved_model": "`as_text` and `input_signature` are refused",
    "tf.keras.estimator.model_to_estimator": "raises NotImplementedError: there is no tf.estimator",
    "tf.keras.layers.BatchNormalization": "under a strategy, moments are those of the global batch; "
    "`virtual_batch_size` and `adjustment` are refused",
    "tf.keras.layers.Dropout": "what is dropped depends on seed, step and sample, not on the number of ranks; "
    "a rate of 1 or more is an error",
    "tf.keras.utils.multi_gpu_model": "raises NotImplementedError: there are no GPUs; use a strategy",
}

_INTRODUCTION = """# Names of tf.keras 2.0

Made by `python docs/make_api_table.py`, which asks distkeras for every public name of TensorFlow 2.0's tf.keras.
**Works** means that it is there and meant to do what TensorFlow's does; **differs** tells how it does not; **missing**
names raise AttributeError.
"""


def main() -> None:
    PAGE.write_text(page())


def page() -> str:
    """The text of api_table.md."""
    sections = {module: _states(module, names) for module, names in _listed()}
    counts = {state: sum(len(found[state]) for found in sections.values()) for state in ("works", "differs", "missing")}
    unused = set(DIFFERENCES) - {f"{module}.{name}" for module, found in sections.items() for name in found["differs"]}
    if unused:
        raise SystemExit(f"DIFFERENCES names what is not there: {sorted(unused)}")
    total = f"{counts['works']} names work, {counts['differs']} differ, {counts['missing']} are missing.\n"
    return "\n".join([_INTRODUCTION, total, *(_section(module, found) for module, found in sections.items())])


def _listed() -> Iterator[tuple[str, list[str]]]:
    text = re.sub(r"^#.*\n", "", (FOLDER / "tf_keras_2_0_names.txt").read_text(), flags=re.MULTILINE)
    for entry in re.split(r"\n(?=\S)", text.strip()):
        module, _, names = entry.partition(": ")
        yield module, names.split()


def _states(module: str, names: list[str]) -> dict[str, list[str]]:
    owner = _find(module)
    found: dict[str, list[str]] = {"works": [], "differs": [], "missing": []}
    for name in names:
        there = owner is not None and _has(owner, name)
        found["missing" if not there else "differs" if f"{module}.{name}" in DIFFERENCES else "works"].append(name)
    return found


def _find(path: str) -> Any:
    owner = tf
    for part in path.split(".")[1:]:
        owner = getattr(owner, part, None)
    return owner


def _has(owner: Any, name: str) -> bool:
    """Whether it is there; some attributes of a class exist once there is an object of it."""
    if not isinstance(owner, type):
        return hasattr(owner, name)
    return any(name in vars(kind) or name in getattr(kind, "__annotations__", ()) for kind in owner.__mro__) or (
        owner in _EXAMPLES and name in dir(_EXAMPLES[owner])
    )


def _examples() -> dict[type, Any]:
    """An object of each class whose methods and attributes are listed."""
    inputs = tf.keras.Input((2,))
    return {
        tf.keras.Model: tf.keras.Model(inputs, tf.keras.layers.Dense(1)(inputs)),
        tf.keras.Sequential: tf.keras.Sequential(),
        tf.keras.layers.Layer: tf.keras.layers.Dense(1),
        tf.keras.callbacks.Callback: tf.keras.callbacks.Callback(),
        tf.keras.metrics.Metric: tf.keras.metrics.Mean(),
        tf.keras.optimizers.Optimizer: tf.keras.optimizers.SGD(),
    }


_EXAMPLES = _examples()


def _section(module: str, found: dict[str, list[str]]) -> str:
    parts = [f"## {module}"]
    if found["works"]:
        parts.append(_listing("Works", found["works"]))
    if found["differs"]:
        rows = [f"| {name} | {DIFFERENCES[f'{module}.{name}']} |" for name in found["differs"]]
        parts.append("\n".join(["| differs | how |", "|---|---|", *rows]))
    if found["missing"]:
        parts.append(_listing("Missing", found["missing"]))
    return "\n\n".join(parts) + "\n"


def _listing(state: str, names: list[str]) -> str:
    return textwrap.fill(f"**{state}:** {', '.join(names)}", 118, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    main()
