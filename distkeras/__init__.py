"""Keras training for CPU clusters: `import distkeras as tf` runs TensorFlow 2.0 Keras scripts.

Names are those of TensorFlow 2.0 and are loaded when they are first used.

>>> import distkeras as tf
>>> tf.reduce_sum(tf.constant([1.0, 2.0])).numpy()
np.float32(3.0)
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0.dev0"
newaxis = None

_PACKAGES = """
    compat config data distribute dtypes errors initializers keras linalg losses math metrics nn optimizers ops random
    saved_model testing train
""".split()

_HOMES = {
    "distkeras.ops": """
        abs acos add add_n argmax argmin asin atan boolean_mask broadcast_to cast ceil clip_by_global_norm clip_by_norm
        clip_by_value concat constant convert_to_tensor cos cosh cumsum divide equal erf exp expand_dims eye fill floor
        gather gather_nd greater greater_equal identity less less_equal linspace logical_and logical_not logical_or
        matmul maximum minimum multiply negative norm not_equal one_hot ones ones_like pad pow range rank reduce_all
        reduce_any reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod reduce_sum repeat reshape reverse
        round sequence_mask shape sigmoid sign sin sinh size split sqrt square squeeze stack stop_gradient subtract tan
        tanh tensordot tile transpose unstack where zeros zeros_like
    """,
    "distkeras.core.spec": "DType TensorShape TensorSpec as_dtype",
    "distkeras.core.tensor": "Tensor",
    "distkeras.core.variable": "Variable",
    "distkeras.core.tape": "GradientTape",
    "distkeras.core.indexed_slices": "IndexedSlices",
    "distkeras.core.context": "executing_eagerly init_scope",
    "distkeras.graph.function": "function",
}
_OTHER_NAMES = {
    "slice": ("distkeras.ops", "slice_"),
    "truediv": ("distkeras.ops", "divide"),
    "random_normal_initializer": ("distkeras.keras.initializers", "RandomNormal"),
    "random_uniform_initializer": ("distkeras.keras.initializers", "RandomUniform"),
    "zeros_initializer": ("distkeras.keras.initializers", "Zeros"),
    "ones_initializer": ("distkeras.keras.initializers", "Ones"),
    "constant_initializer": ("distkeras.keras.initializers", "Constant"),
    "device": ("distkeras.config", "device"),
}
_DTYPES = """
    float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 complex64 complex128 bool string
    half double
""".split()
_NAMES = {name: (home, name) for home, names in _HOMES.items() for name in names.split()} | _OTHER_NAMES

__all__ = ["__version__", "newaxis", *_PACKAGES, *_DTYPES, *_NAMES]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        home, attribute = _NAMES[name]
        if home.startswith(("distkeras.core.", "distkeras.graph.")):
            importlib.import_module("distkeras.ops")  # gives tensors and variables their operators
        value = getattr(importlib.import_module(home), attribute)
    elif name in _DTYPES:
        value = importlib.import_module("distkeras.core.spec").as_dtype(name)
    elif name in _PACKAGES:
        value = importlib.import_module(f"distkeras.{name}")
    else:
        raise AttributeError(
            f"distkeras has no attribute {name!r}. It implements the Keras part of TensorFlow 2.0: see dir(distkeras)."
        )
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


# Before anything loads NumPy: threads are shared out among the ranks of a node.
from distkeras.distribute import environment as _environment  # noqa: E402

_environment.prepare()
