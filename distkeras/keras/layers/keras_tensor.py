"""Symbolic tensors of the functional API: shape and type of what a model will compute, and which layer computes it.

Sizes may be unknown (None). What a layer makes of them is found out by running its `call` abstractly in two worlds that
differ in every unknown size: an output size that differs as well is unknown, all others are exact. The sizes in a world
are consistent through the whole model, so that two unknown sizes can be added, permuted or reshaped into each other.

    Input((None, 8))     world 0: (60, 96, 8)    world 1: (120, 192, 8)      shape (None, None, 8)
      Permute((2, 1))             (60, 8, 96)             (120, 8, 192)            (None, 8, None)

Where that fails because a tensor of known sizes takes part, unknown sizes are tried to be the same as known ones on the
same axis: a constant of shape (32, 4) beside (None, 4) makes the batch 32.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

from distkeras import _nest
from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.core.spec import DType, TensorShape, TensorSpec, as_dtype
from distkeras.core.tensor import SymbolicTensor, Tensor
from distkeras.graph.trace import infer
from distkeras.keras.layers.ragged_inputs import RaggedSample
from distkeras.ops.ragged import ragged_to_tensor

# Many divisors, so that reshapes, strides and poolings of unknown sizes come out even.
_BATCH = (60, 120)
_SIZE = (96, 192)
WORLDS = (0, 1)


class History(NamedTuple):
    """Where a KerasTensor comes from: output `tensor_index` of call `node_index` of `layer`."""

    layer: Any
    node_index: int
    tensor_index: int


class KerasTensor(Tensor):
    """A tensor of the functional API, made by `Input` and by calling layers on such tensors.

    Args:
        worlds: What it is in each of the two worlds: a spec, a tensor where the value is known (a shape, say), or a
            RaggedSample.
        name: What it is called in printed form.
    """

    __slots__ = ("_keras_history", "_shape", "_dtype", "_name", "worlds")

    def __init__(self, worlds: tuple[Any, Any], name: str) -> None:
        self._array = None
        self.worlds = worlds
        first, second = (tuple(world.shape) for world in worlds)
        self._shape = (
            TensorShape(None)
            if len(first) != len(second)
            else TensorShape(size if size == other else None for size, other in zip(first, second, strict=True))
        )
        self._dtype = as_dtype(worlds[0].dtype)
        self._name = name

    @classmethod
    def from_spec(cls, shape: Any, dtype: Any, name: str) -> KerasTensor:
        """A tensor whose unknown sizes are independent of all others."""
        worlds = (
            tuple((_SIZE if axis else _BATCH)[world] if size is None else size for axis, size in enumerate(shape))
            for world in WORLDS
        )
        tensor = cls(tuple(TensorSpec(sizes, dtype) for sizes in worlds), name)
        tensor._shape = TensorShape(shape)
        return tensor

    @classmethod
    def of_ragged(cls, shape: Any, dtype: Any, name: str) -> KerasTensor:
        """A ragged tensor: of unknown size are its rows' lengths.

        Raises:
            ValueError: No size is None, but that of the batch.
        """
        counts = (_BATCH[world] if shape[0] is None else shape[0] for world in WORLDS)
        worlds = zip(counts, _SIZE, strict=True)
        return cls(tuple(RaggedSample.of_shape(shape, dtype, *world) for world in worlds), name)

    @property
    def ragged(self) -> bool:
        """Whether it stands for a ragged tensor."""
        return isinstance(self.worlds[0], RaggedSample)

    def to_tensor(self, default_value: Any = None) -> KerasTensor:
        """Of a ragged tensor the rows filled up to the longest one's length; see `RaggedTensor.to_tensor`."""
        return ragged_to_tensor(self, default_value)

    @property
    def shape(self) -> TensorShape:
        return self._shape

    @property
    def dtype(self) -> DType:
        return self._dtype

    @property
    def spec(self) -> TensorSpec:
        return TensorSpec(self._shape, self._dtype, self._name)

    @property
    def name(self) -> str:
        return f"{self._name}:0"

    @property
    def is_fixed(self) -> bool:
        """Whether it is the same in both worlds: no size is unknown."""
        first, second = self.worlds
        return isinstance(first, TensorSpec) and first == second

    @property
    def op(self) -> Any:
        """The layer that computes it."""
        return self._keras_history.layer

    @property
    def node(self) -> Any:
        """The call that computes it."""
        return self._keras_history.layer._inbound_nodes[self._keras_history.node_index]

    def set_shape(self, shape: Any) -> None:
        """Fix unknown sizes.

        Raises:
            ValueError: A known size is another one.
        """
        shape = TensorShape(shape)
        self._shape.assert_is_compatible_with(shape)
        self._shape = TensorShape(a if a is not None else b for a, b in zip(self._shape, shape, strict=True))
        self.worlds = KerasTensor.from_spec(self._shape, self._dtype, self._name).worlds

    def numpy(self) -> Any:
        return self._value("an ndarray")

    def _value(self, wanted: str) -> Any:
        raise TypeError(
            f"The symbolic tensor {self.name!r} of shape {self.shape} was used as {wanted}, but it only describes "
            "what a model will compute. Use tensor operations on it, or put the computation into a Lambda or a "
            "Layer of your own."
        )

    def __len__(self) -> int:
        raise TypeError(f"len() is not defined for the symbolic tensor {self.name!r}; use x.shape or tf.shape(x).")

    def __iter__(self) -> Any:
        raise TypeError(f"The symbolic tensor {self.name!r} cannot be iterated over; use tf.unstack or indexing.")

    def __str__(self) -> str:
        return f'Tensor("{self.name}", shape={self.shape}, dtype={self.dtype.name})'

    def __repr__(self) -> str:
        return f"<tf.Tensor {self.name!r} shape={self.shape} dtype={self.dtype.name}>"


def has_keras_tensor(structure: Any) -> bool:
    """Whether a KerasTensor is among the leaves."""
    if isinstance(structure, KerasTensor):
        return True
    return _nest.is_nested(structure) and any(isinstance(leaf, KerasTensor) for leaf in _nest.flatten(structure))


def abstract_call(function: Callable, arguments: Any, name: str, constants: Any = ()) -> Any:
    """What `function(*arguments)` gives, as KerasTensors, computing nothing.

    Args:
        function: Takes the entries of `arguments`, with symbols of known shape in place of the KerasTensors.
        arguments: A tuple of structures.
        name: What the outputs are called in printed form.
        constants: A structure of what else the function takes in.

    Returns:
        KerasTensors, with masks where the outputs have some, in the structure of the function's result.
    """
    tensors = [leaf for leaf in _nest.flatten(arguments) if isinstance(leaf, KerasTensor)]
    fixed = all(tensor.is_fixed for tensor in tensors)
    try:
        first = _run_in_world(0, function, arguments)
        second = first if fixed else _run_in_world(1, function, arguments)
    except ValueError:
        for sizes in () if fixed else _known_sizes(tensors, [arguments, constants]):
            with contextlib.suppress(ValueError):
                first, second = (_run_in_world(world, function, arguments, sizes) for world in WORLDS)
                break
        else:
            raise
    _nest.assert_same_structure(first, second)
    leaves = []
    for worlds in zip(_nest.flatten(first), _nest.flatten(second), strict=True):
        if not all(isinstance(world, (Tensor, RaggedTensor)) for world in worlds):
            raise TypeError(f"{name} returned {worlds[0]!r}, which is not a tensor.")
        tensor = KerasTensor(tuple(map(_essence, worlds)), name)
        masks = tuple(getattr(world, "_keras_mask", None) for world in worlds)
        tensor._keras_mask = None if masks[0] is None else KerasTensor(tuple(map(_essence, masks)), f"{name}/mask")
        leaves.append(tensor)
    return _nest.pack(first, leaves)


def _essence(tensor: Tensor | RaggedTensor) -> Any:
    """What is known of a tensor of a world: the spec of a symbol, and all of a value."""
    if isinstance(tensor, RaggedTensor):
        return RaggedSample.of(tensor)
    return tensor.spec if isinstance(tensor, SymbolicTensor) else tensor


def _known_sizes(tensors: list[KerasTensor], structure: Any) -> list[dict[int, int]]:
    """What unknown sizes may be, by their axes: those on the axis of the batch alone first, then on all."""
    unknown = {axis for tensor in tensors for axis, size in enumerate(tensor.shape) if size is None}
    shapes = [tuple(leaf.shape) for leaf in _leaves(structure) if hasattr(leaf, "shape")]
    known = {axis: {shape[axis] for shape in shapes if len(shape) > axis} - {None, 1} for axis in unknown}
    sizes = {axis: found.pop() for axis, found in sorted(known.items()) if len(found) == 1}
    choices = [{axis: size} for axis, size in sizes.items()]
    return choices if len(sizes) < 2 else [*choices, sizes]


def _leaves(structure: Any) -> list:
    return [leaf for leaf in _nest.flatten(structure) if leaf is not None]


def _in_world(tensor: KerasTensor, world: int, sizes: dict[int, int]) -> Any:
    """What a tensor is in a world in which some unknown sizes are known."""
    entry = tensor.worlds[world]
    if isinstance(entry, RaggedSample):
        return entry.values
    if not isinstance(entry, TensorSpec):
        return entry
    pairs = enumerate(zip(tensor.shape, entry.shape, strict=True))
    return TensorSpec([sizes.get(axis, size) if known is None else size for axis, (known, size) in pairs], entry.dtype)


def _run_in_world(world: int, function: Callable, arguments: Any, sizes: Any = None) -> Any:
    leaves = _nest.flatten(arguments)
    tensors = [leaf for leaf in leaves if isinstance(leaf, KerasTensor)]
    masks = [mask for tensor in tensors if (mask := getattr(tensor, "_keras_mask", None)) is not None]
    results: list[Any] = []

    def run(*symbols: Tensor) -> Any:
        # infer() gives specs only; the results themselves also carry masks, and values that are known.
        known = {
            id(tensor): tensor.worlds[world].tensor(symbol) if tensor.ragged else symbol
            for tensor, symbol in zip([*tensors, *masks], symbols, strict=True)
        }
        for tensor in tensors:
            if getattr(tensor, "_keras_mask", None) is not None:
                known[id(tensor)]._keras_mask = known[id(tensor._keras_mask)]
        values = (known[id(leaf)] if isinstance(leaf, KerasTensor) else leaf for leaf in leaves)
        results.append(function(*_nest.pack(arguments, values)))
        return results[0]

    infer(run, *(_in_world(tensor, world, sizes or {}) for tensor in [*tensors, *masks]))
    return results[0]
