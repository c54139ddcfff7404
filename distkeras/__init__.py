"""Keras training for CPU clusters: `import distkeras as tf` runs TensorFlow 2.0 Keras scripts.

Names are those of TensorFlow 2.0 and are loaded when they are first used.

>>> import distkeras as tf
>>> tf.reduce_sum(tf.constant([1.0, 2.0])).numpy()
np.float32(3.0)
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "2.0.0+distkeras.0.1.0.dev0"  # the version of the names, for scripts that ask, and distkeras' own
newaxis = None

_PACKAGES = """
    autograph compat config data datasets debugging distribute dtypes errors feature_column image initializers io keras
    linalg lookup losses math metrics nest nn optimizers ops ragged random saved_model sparse strings summary test
    testing train version
""".split()

_HOMES = {
    "distkeras.ops": """
        Assert TensorArray abs acos acosh add add_n argmax argmin argsort asin asinh assert_equal assert_greater
        assert_less assert_rank atan atan2 atanh boolean_mask broadcast_to case cast ceil clip_by_global_norm
        clip_by_norm clip_by_value concat cond constant convert_to_tensor cos cosh cumsum custom_gradient divide
        dynamic_partition dynamic_stitch einsum ensure_shape equal exp expand_dims eye fill floor foldl foldr
        gather gather_nd greater greater_equal histogram_fixed_width identity less less_equal linspace
        logical_and logical_not logical_or map_fn matmul maximum meshgrid minimum multiply negative norm
        not_equal numpy_function one_hot ones ones_like pad pow py_function range rank reduce_all reduce_any
        reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod reduce_sum repeat reshape reverse
        reverse_sequence roll round saturate_cast scalar_mul scan scatter_nd searchsorted sequence_mask shape
        sigmoid sign sin sinh size sort split sqrt square squeeze stack stop_gradient strided_slice subtract
        switch_case tan tanh tensor_scatter_nd_add tensor_scatter_nd_sub tensor_scatter_nd_update tensordot tile
        transpose unique unique_with_counts unstack vectorized_map where while_loop zeros zeros_like
    """,
    "distkeras.core.spec": "DType TensorShape TensorSpec as_dtype",
    "distkeras.core.tensor": "Tensor",
    "distkeras.core.variable": "Variable VariableAggregation VariableSynchronization",
    "distkeras.core.indexed_slices": "IndexedSlices",
    "distkeras.core.sparse_tensor": "SparseTensor SparseTensorSpec",
    "distkeras.core.ragged_tensor": "RaggedTensor",
    "distkeras.core.ragged_spec": "RaggedTensorSpec",
    "distkeras.core.module": "Module",
    "distkeras.core.scopes": "name_scope",
    "distkeras.core.tape": "GradientTape UnconnectedGradients",
    "distkeras.core.context": "executing_eagerly init_scope",
    "distkeras.core.no_ops": "control_dependencies get_logger gradients group no_op",
    "distkeras.graph.function": "function",
}
_OTHER_NAMES = {
    "slice": ("distkeras.ops", "slice_"),
    "print": ("distkeras.ops", "print_"),
    "truediv": ("distkeras.ops", "divide"),
    "identity_n": ("distkeras.core.no_ops", "identity_n"),
    "is_tensor": ("distkeras.keras.backend", "is_tensor"),
    "random_normal_initializer": ("distkeras.keras.initializers", "RandomNormal"),
    "random_uniform_initializer": ("distkeras.keras.initializers", "RandomUniform"),
    "zeros_initializer": ("distkeras.keras.initializers", "Zeros"),
    "ones_initializer": ("distkeras.keras.initializers", "Ones"),
    "constant_initializer": ("distkeras.keras.initializers", "Constant"),
    "device": ("distkeras.config", "device"),
    "as_string": ("distkeras.ops.text", "as_string"),
}
_ABSENT = {
    "Session": "Sessions belong to TF 1: operations run at once, and tf.function compiles.",
    "placeholder": "Placeholders belong to TF 1: use the arguments of a function, or tf.keras.Input.",
    "Graph": "Graphs belong to TF 1: tf.function(f).get_concrete_function(...).graph shows what is compiled.",
    "mixed_precision": "It is tf.keras.mixed_precision.experimental; loss scales are in tf.train.experimental.",
    "bitcast": "tf.bitcast is not available: use tensor.numpy().view(...).",
    "tpu": "There are only CPUs.",
    "xla": "There are only CPUs, with kernels compiled by Numba.",
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
        advice = _ABSENT.get(name, "It implements the Keras part of TensorFlow 2.0: see dir(distkeras).")
        raise AttributeError(f"distkeras has no attribute {name!r}. {advice}")
    globals()[name] = value
    return value


__dir__ = __all__.copy  # what completion offers, whatever has been imported inside


# Before anything loads NumPy: threads are shared out among the ranks of a node.
from distkeras.distribute import environment as _environment  # noqa: E402

_environment.prepare()
