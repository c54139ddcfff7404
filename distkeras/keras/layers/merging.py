"""Layers that make one tensor of several."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras import ops
from distkeras.core.spec import TensorShape
from distkeras.core.tensor import Tensor
from distkeras.keras.layers.base import LAYERS, Layer


def _are_shapes(shapes: Any) -> bool:
    return (
        isinstance(shapes, (list, tuple))
        and not isinstance(shapes, TensorShape)
        and all(isinstance(shape, (list, tuple)) for shape in shapes)
    )


def _check_several(name: str, shapes: Any, least: int = 2) -> None:
    if not _are_shapes(shapes):
        raise ValueError(f"A merge layer should be called on a list of inputs: layer {name} received {shapes}.")
    if len(shapes) < least:
        raise ValueError(
            f"A merge layer should be called on a list of at least {least} inputs. Got {len(shapes)} inputs."
        )


class _Merge(Layer):
    """Base of element-wise merges, with broadcasting; an input of lower rank gets axes of size 1 after the batch's."""

    _supports_ragged_inputs = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        _check_several(self.name, input_shape, self._least)
        batches = {shape[0] for shape in input_shape if shape[0] is not None}
        if len(batches) > 1:
            raise ValueError(
                f"Can not merge tensors with different batch sizes. Got tensors with shapes : {list(input_shape)}"
            )
        longest = max(len(shape) for shape in input_shape)
        padded = [(1,) * (longest - len(shape)) + tuple(shape[1:]) for shape in input_shape]
        for axis, sizes in enumerate(zip(*padded, strict=True)):
            if len({size for size in sizes if size not in (1, None)}) > 1:
                raise ValueError(
                    f"Operands could not be broadcast together with shapes {list(map(tuple, input_shape))}: layer "
                    f"{self.name} received sizes {sizes} in axis {axis - longest}."
                )
        super().build(input_shape)

    _least = 2

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        _check_several(self.name, [tensor.shape for tensor in inputs], self._least)
        rank = max(tensor.ndim for tensor in inputs)
        return self._merge([_expand(tensor, rank) for tensor in inputs])

    def _merge(self, inputs: list[Tensor]) -> Tensor:
        raise NotImplementedError

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """An element counts if it does in all the inputs that have a mask."""
        if mask is None or all(item is None for item in _checked_masks(inputs, mask)):
            return None
        return functools.reduce(ops.logical_and, [ops.cast(item, "bool") for item in mask if item is not None])


def _checked_masks(inputs: Any, masks: Any) -> Any:
    for name, value in (("inputs", inputs), ("mask", masks)):
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"`{name}` should be a list, received {value!r}.")
    if len(inputs) != len(masks):
        raise ValueError(
            "The lists `inputs` and `mask` should have the same length, received "
            f"{len(inputs)} inputs and {len(masks)} masks."
        )
    return masks


def _expand(tensor: Tensor, rank: int) -> Tensor:
    if tensor.ndim == rank:
        return tensor
    return ops.reshape(tensor, (tensor.shape[0], *(1,) * (rank - tensor.ndim), *tensor.shape[1:]))


@LAYERS.register()
class Add(_Merge):
    """The sum of the inputs.

    >>> import distkeras as tf
    >>> tf.keras.layers.Add()([tf.ones((2, 3)), tf.ones((2, 3))]).numpy().tolist()
    [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]
    """

    def _merge(self, inputs: list[Tensor]) -> Tensor:
        return functools.reduce(operator.add, inputs)


@LAYERS.register()
class Subtract(_Merge):
    """The first of two inputs minus the second."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self._check_two(input_shape)

    def _check_two(self, inputs: Any) -> None:
        if len(inputs) != 2:
            raise ValueError(f"A `Subtract` layer should be called on exactly 2 inputs, received {len(inputs)}.")

    def _merge(self, inputs: list[Tensor]) -> Tensor:
        self._check_two(inputs)
        return inputs[0] - inputs[1]


@LAYERS.register()
class Multiply(_Merge):
    """The product of the inputs, element by element."""

    def _merge(self, inputs: list[Tensor]) -> Tensor:
        return functools.reduce(operator.mul, inputs)


@LAYERS.register()
class Average(_Merge):
    """The mean of the inputs, element by element."""

    def _merge(self, inputs: list[Tensor]) -> Tensor:
        return functools.reduce(operator.add, inputs) / float(len(inputs))


@LAYERS.register()
class Maximum(_Merge):
    """The largest of the inputs, element by element."""

    def _merge(self, inputs: list[Tensor]) -> Tensor:
        return functools.reduce(ops.maximum, inputs)


@LAYERS.register()
class Minimum(_Merge):
    """The smallest of the inputs, element by element."""

    def _merge(self, inputs: list[Tensor]) -> Tensor:
        return functools.reduce(ops.minimum, inputs)


@LAYERS.register()
class Concatenate(_Merge):
    """The inputs one after the other along an axis.

    Args:
        axis: The axis; all others must have equal sizes.

    >>> import distkeras as tf
    >>> tf.keras.layers.Concatenate()([tf.ones((2, 3)), tf.ones((2, 4))]).shape
    TensorShape([2, 7])
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape: Any) -> None:
        _check_several(self.name, input_shape, self._least)
        rank = len(input_shape[0])
        others = [axis for axis in range(rank) if axis != self.axis % rank]
        for axis in others:
            sizes = {shape[axis] for shape in input_shape if len(shape) == rank and shape[axis] is not None}
            if len(sizes) > 1 or any(len(shape) != rank for shape in input_shape):
                raise ValueError(
                    "A `Concatenate` layer requires inputs with matching shapes except for the concat axis "
                    f"{self.axis}. Got inputs shapes: {list(map(tuple, input_shape))}"
                )
        Layer.build(self, input_shape)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        _check_several(self.name, [tensor.shape for tensor in inputs], self._least)
        return ops.concat(list(inputs), axis=self.axis)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The masks one after the other; an input without a mask counts wholly."""
        if mask is None or all(item is None for item in _checked_masks(inputs, mask)):
            return None
        whole = []
        for tensor, item in zip(inputs, mask, strict=True):
            if item is None:
                item = ops.ones(tensor.shape, "bool")
            while item.ndim < tensor.ndim:
                item = ops.expand_dims(item, item.ndim)
            whole.append(ops.broadcast_to(item, tensor.shape))
        return ops.reduce_all(ops.concat(whole, axis=self.axis), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


@LAYERS.register()
class Dot(_Merge):
    """The dot product of two inputs, sample by sample, along an axis of each.

    Args:
        axes: The axis, one for both or one for each; 0 is the batch.
        normalize: Divide by the norms first: cosine proximity.

    >>> import distkeras as tf
    >>> tf.keras.layers.Dot(axes=(2, 1))([tf.ones((5, 2, 3)), tf.ones((5, 3, 4))]).shape
    TensorShape([5, 2, 4])
    """

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        pair = list(axes) if isinstance(axes, (list, tuple)) else [axes]
        if any(not isinstance(axis, (int, np.integer)) for axis in pair):
            raise TypeError(f"Invalid type for `axes` - should be an int or a list of 2 ints, received {axes!r}.")
        if len(pair) != (2 if isinstance(axes, (list, tuple)) else 1):
            raise ValueError(f"Invalid format for `axes` - should contain two elements, received {axes!r}.")
        self.axes = axes
        self.normalize = normalize

    def _axes(self, shapes: Sequence[Any]) -> tuple[int, int]:
        pair = tuple(self.axes) if isinstance(self.axes, (list, tuple)) else (self.axes, self.axes)
        for axis, shape in zip(pair, shapes, strict=True):
            if not -len(shape) <= axis < len(shape) or axis % len(shape) == 0:
                raise ValueError(
                    f"A `Dot` layer cannot multiply along axis {axis} of an input of shape {tuple(shape)}: "
                    f"axes={self.axes} must be from 1 to {len(shape) - 1}, for axis 0 is the batch."
                )
        return tuple(axis % len(shape) for axis, shape in zip(pair, shapes, strict=True))

    def build(self, input_shape: Any) -> None:
        _check_several(self.name, input_shape)
        if len(input_shape) != 2:
            raise ValueError(f"A `Dot` layer should be called on exactly 2 inputs, received {len(input_shape)}.")
        sizes = [shape[axis] for shape, axis in zip(input_shape, self._axes(input_shape), strict=True)]
        if None not in sizes and sizes[0] != sizes[1]:
            raise ValueError(
                f"Dimension incompatibility {sizes[0]} != {sizes[1]}. Layer shapes: "
                f"{tuple(input_shape[0])}, {tuple(input_shape[1])}. Chosen axes: {self.axes}"
            )
        Layer.build(self, input_shape)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        x, y = inputs
        x_axis, y_axis = self._axes([x.shape, y.shape])
        if self.normalize:
            x, y = ops.l2_normalize(x, axis=x_axis), ops.l2_normalize(y, axis=y_axis)
        left, left_sizes = _matrix(x, x_axis)
        right, right_sizes = _matrix(y, y_axis)
        product = ops.matmul(left, right, transpose_b=True)
        return ops.reshape(product, (x.shape[0], *(left_sizes + right_sizes or (1,))))

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        return None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def _matrix(tensor: Tensor, axis: int) -> tuple[Tensor, tuple[int, ...]]:
    """[batch, rest, axis], and the sizes of the rest."""
    rest = [other for other in range(1, tensor.ndim) if other != axis]
    sizes = tuple(tensor.shape[other] for other in rest)
    moved = ops.transpose(tensor, (0, *rest, axis))
    return ops.reshape(moved, (tensor.shape[0], functools.reduce(operator.mul, sizes, 1), tensor.shape[axis])), sizes


def _functional(kind: type[Layer], name: str) -> Callable[..., Any]:
    def merge(inputs: Sequence[Any], **kwargs: Any) -> Any:
        return kind(**kwargs)(inputs)

    merge.__name__ = merge.__qualname__ = name
    merge.__doc__ = f"`{kind.__name__}(**kwargs)(inputs)`: {kind.__doc__.splitlines()[0]}"
    return merge


add = _functional(Add, "add")
subtract = _functional(Subtract, "subtract")
multiply = _functional(Multiply, "multiply")
average = _functional(Average, "average")
maximum = _functional(Maximum, "maximum")
minimum = _functional(Minimum, "minimum")


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate(axis, **kwargs)(inputs)`: the inputs one after the other."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Sequence[Any], axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> Any:
    """`Dot(axes, normalize, **kwargs)(inputs)`: the dot product sample by sample."""
    return Dot(axes=axes, normalize=normalize, **kwargs)(inputs)
