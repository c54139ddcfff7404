"""What a layer accepts: rank, sizes and type of each input, checked before the layer is built or called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distkeras import _nest
from distkeras.core.spec import TensorShape, as_dtype


class InputSpec:
    """The rank, sizes and type that an input of a layer must have.

    Args:
        dtype: The element type.
        shape: The whole shape; None where a size is free.
        ndim: The exact rank.
        max_ndim: The largest rank.
        min_ndim: The smallest rank.
        axes: Sizes of some axes, {axis: size or None}.

    >>> InputSpec(min_ndim=2, axes={-1: 784})
    InputSpec(min_ndim=2, axes={-1: 784})
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
    ) -> None:
        self.dtype = None if dtype is None else as_dtype(dtype).name
        self.shape = None if shape is None else TensorShape(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        self._check()

    def _check(self) -> None:
        top = self.ndim if self.ndim is not None else self.max_ndim
        beyond = [axis for axis in self.axes if top is not None and axis >= top]
        if beyond:
            raise ValueError(f"Axes {beyond} are greater than the maximum allowed axis {top - 1}.")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "dtype": self.dtype,
            "shape": None if self.shape is None else list(self.shape),
            "ndim": self.ndim,
            "max_ndim": self.max_ndim,
            "min_ndim": self.min_ndim,
            "axes": self.axes,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        """What `get_config` tells, as an InputSpec."""
        return cls(**config)

    def problem(self, tensor: Any) -> str | None:
        """What is wrong with `tensor`, None if nothing."""
        shape, rank = tensor.shape, len(tensor.shape)
        full = f"Full shape received: {list(shape)}"
        if self.ndim is not None and rank != self.ndim:
            return f"expected ndim={self.ndim}, found ndim={rank}. {full}{_advice(self.ndim, rank)}"
        if self.max_ndim is not None and rank > self.max_ndim:
            return f"expected max_ndim={self.max_ndim}, found ndim={rank}. {full}"
        if self.min_ndim is not None and rank < self.min_ndim:
            return f"expected min_ndim={self.min_ndim}, found ndim={rank}. {full}{_advice(self.min_ndim, rank)}"
        if self.dtype is not None and tensor.dtype != self.dtype:
            return f"expected dtype={self.dtype}, found dtype={tensor.dtype.name}"
        for axis, size in self.axes.items():
            if size is not None and -rank <= axis < rank and shape[axis] not in (size, None):
                found = f"received input with shape {list(shape)}"
                return f"expected axis {axis} of input shape to have value {size} but {found}"
        if self.shape is not None and not self.shape.is_compatible_with(shape):
            return f"expected shape={self.shape}, found shape={shape}"
        return None

    def __repr__(self) -> str:
        given = {name: value for name, value in self.get_config().items() if value not in (None, {})}
        return f"InputSpec({', '.join(f'{name}={value!r}' for name, value in given.items())})"


# What is missing where there is one dimension less.
_MISSING = {
    2: "The first one counts samples: one sample alone becomes a batch by tf.expand_dims(x, 0).",
    3: "Sequences are [batch, steps, features]: tf.expand_dims(x, -1) adds features, and a recurrent layer before this "
    "one gives all steps with return_sequences=True.",
    4: "Images are [batch, height, width, channels]: tf.expand_dims(x, -1) adds channels, tf.expand_dims(x, 0) makes a "
    "batch of one image.",
    5: "Volumes are [batch, depth, height, width, channels]: tf.expand_dims adds what is missing.",
}


def _advice(expected: int, found: int) -> str:
    return f". {_MISSING[expected]}" if found == expected - 1 and expected in _MISSING else ""


def assert_input_compatibility(specs: Any, inputs: Any, layer_name: str) -> None:
    """Check a layer's inputs.

    Args:
        specs: One InputSpec, or a structure of them (None: anything goes) with one for each input; None checks nothing.
        inputs: Tensors, in any structure.
        layer_name: For the message.

    Raises:
        ValueError: The number of inputs is another one, or an input does not fit its spec.
    """
    if specs is None:
        return
    specs, tensors = _nest.flatten(specs), _nest.flatten(inputs)
    for tensor in tensors:
        if not hasattr(tensor, "shape"):
            raise ValueError(f"Layer {layer_name} expects tensors or arrays as inputs, received {tensor!r}.")
    if len(specs) != len(tensors):
        raise ValueError(
            f"Layer {layer_name} expects {len(specs)} inputs, but it received {len(tensors)} input tensors. "
            f"Inputs received have the shapes {[tuple(tensor.shape) for tensor in tensors]}."
        )
    for index, (spec, tensor) in enumerate(zip(specs, tensors, strict=True)):
        problem = None if spec is None else spec.problem(tensor)
        if problem is not None:
            raise ValueError(f"Input {index} of layer {layer_name} is incompatible with the layer: {problem}")
