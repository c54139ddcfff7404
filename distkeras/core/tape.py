"""Reverse-mode differentiation: a tape records primitives and is walked backwards.

Derivatives are ops like any other: they are recorded by outer tapes and by traces, so gradients can be differentiated
and compiled.
"""

from __future__ import annotations

import contextlib
import enum
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras.core.context import state
from distkeras.core.indexed_slices import IndexedSlices, dense, joined
from distkeras.core.primitive import PRIMITIVES, Primitive, bind
from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.core.variable import Variable


class UnconnectedGradients(enum.Enum):
    """What stands for the gradient of a source that the target does not depend on."""

    NONE = "none"
    ZERO = "zero"


class GradientTape:
    """Records what is computed inside its `with` block and differentiates it.

    Args:
        persistent: Whether `gradient` may be called more than once.
        watch_accessed_variables: Whether trainable variables are watched when they are read.

    >>> import distkeras as tf
    >>> x = tf.Variable(3.0)
    >>> with tf.GradientTape() as tape:
    ...     y = x * x
    >>> tape.gradient(y, x).numpy()
    np.float32(6.0)
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._persistent = persistent
        self._watch_variables = watch_accessed_variables
        self._recording = False
        self._used = False
        self.reset()

    def reset(self) -> None:
        """Forget everything recorded so far."""
        self._variables: dict[int, Variable] = {}  # those watched, in their order
        self._free()

    def _free(self) -> None:
        self._equations: list[tuple[Primitive, tuple, dict, tuple]] = []
        self._reads: dict[int, Variable] = {}  # tensor -> the variable it was read from
        self._tracked: dict[int, Any] = {}  # keeps the objects alive, so that no id is used twice

    def __enter__(self) -> GradientTape:
        if self._recording:
            raise ValueError("Tape is already recording: it cannot be entered twice.")
        self._recording = True
        state.tapes.append(self)
        return self

    def __exit__(self, *error: Any) -> None:
        if self._recording:
            self._stop()

    def _stop(self) -> None:
        self._recording = False
        if self in state.tapes:
            state.tapes.remove(self)

    @contextlib.contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Do not record what happens inside."""
        if not self._recording:
            raise ValueError("Tape is not recording.")
        self._stop()
        try:
            yield
        finally:
            self.__enter__()

    def watch(self, tensor: Any) -> None:
        """Track a tensor, variable, or a structure of them; of a ragged tensor its values.

        Raises:
            ValueError: Something else was given.
        """
        for leaf in map(_values_of, _nest.flatten(tensor)):
            if not isinstance(leaf, (Tensor, Variable)):
                raise ValueError(
                    f"Passed in object of type {type(leaf).__name__}, not a tf.Tensor or tf.Variable: {leaf!r}"
                )
            self._tracked[id(leaf)] = leaf
            if isinstance(leaf, Variable):
                self._variables[id(leaf)] = leaf

    def watched_variables(self) -> tuple[Variable, ...]:
        """The variables watched or read so far, each once, in the order of that."""
        return tuple(self._variables.values())

    # --- called by bind, traces and Variable

    def tracks(self, tensor: Tensor) -> bool:
        """Whether the derivative for `tensor` could be asked for."""
        return id(tensor) in self._tracked

    def record(self, primitive: Primitive, inputs: tuple, params: dict, outputs: tuple) -> None:
        if primitive.vjp is not None and any(id(tensor) in self._tracked for tensor in inputs):
            self._equations.append((primitive, inputs, params, outputs))
            for tensor in outputs:
                if tensor.dtype.is_floating:
                    self._tracked[id(tensor)] = tensor

    def record_read(self, variable: Variable, tensor: Tensor) -> None:
        if id(variable) in self._tracked or (self._watch_variables and variable.trainable):
            self._variables[id(variable)] = variable
            self._reads[id(tensor)] = variable
            self._tracked[id(tensor)] = tensor

    # --- differentiation

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: Any = UnconnectedGradients.NONE,
    ) -> Any:
        """The derivative of the sum of `target`'s elements with respect to each source.

        Args:
            target: A tensor or a structure of them; of ragged ones the values count.
            sources: Tensors, ragged ones too, or variables, in any structure.
            output_gradients: What to multiply each target's elements with before they are summed; ones by default.
            unconnected_gradients: 'none' or 'zero', or `tf.UnconnectedGradients`: what stands for a source that the
                target does not depend on.

        Returns:
            Gradients in the structure of `sources`: tensors, and IndexedSlices for variables that were only gathered
            from.

        Warns:
            UserWarning: A target is not floating point; it is left out.

        Raises:
            RuntimeError: A tape that is not persistent was used before.
        """
        unconnected = self._begin(unconnected_gradients)
        given = _nest.flatten(sources)
        leaves = [_values_of(leaf) for leaf in given]
        seeds = _nest.map_structure(_values_of, output_gradients)
        gradients = self._backward([_values_of(leaf) for leaf in _nest.flatten(target)], leaves, seeds)
        if unconnected is UnconnectedGradients.ZERO:
            gradients = [_zeros(leaf) if grad is None else grad for leaf, grad in zip(leaves, gradients, strict=True)]
        if not self._persistent:
            self._free()
        return _nest.pack(sources, [_like(leaf, grad) for leaf, grad in zip(given, gradients, strict=True)])

    def jacobian(
        self,
        target: Tensor,
        sources: Any,
        unconnected_gradients: Any = UnconnectedGradients.NONE,
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """The derivative of each element of `target` with respect to each source: [*target.shape, *source.shape].

        The tape is walked backwards once for each element. `parallel_iterations` and `experimental_use_pfor` are
        accepted: they change nothing in results.

        >>> import distkeras as tf
        >>> x = tf.constant([1.0, 2.0])
        >>> with tf.GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = x * x
        >>> tape.jacobian(y, x).numpy().tolist()
        [[2.0, 0.0], [0.0, 4.0]]
        """
        unconnected = self._begin(unconnected_gradients)
        target, leaves = _tensor_of(target), _nest.flatten(sources)
        seeds = np.eye(target.spec.size, dtype=target.dtype.numpy).reshape((-1, *target.shape))
        results = self._rows(target, leaves, seeds, unconnected)
        if not self._persistent:
            self._free()
        return _nest.pack(sources, [_stacked(rows, tuple(target.shape)) for rows in results])

    def batch_jacobian(
        self,
        target: Tensor,
        source: Tensor,
        unconnected_gradients: Any = UnconnectedGradients.NONE,
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Tensor | None:
        """The jacobian of each sample: [batch, *target.shape[1:], *source.shape[1:]].

        Args:
            target, source: [batch, ...]; a sample of the target must not depend on other samples of the source.
            parallel_iterations, experimental_use_pfor: Accepted: they change nothing in results.

        Raises:
            ValueError: Their first dimensions differ.
        """
        target, tensor = _tensor_of(target), _tensor_of(source)
        if not target.ndim or target.shape[:1] != tensor.shape[:1]:
            raise ValueError(
                f"Need first dimension of target shape {target.shape} and source shape {tensor.shape} to match."
            )
        unconnected = self._begin(unconnected_gradients)
        inner = tuple(target.shape[1:])
        count = int(np.prod(inner, dtype=np.int64))
        seeds = np.eye(count, dtype=target.dtype.numpy).reshape((count, 1, *inner)).repeat(target.shape[0], axis=1)
        (rows,) = self._rows(target, [source], seeds, unconnected)
        if not self._persistent:
            self._free()
        stacked = _stacked(rows, inner)
        if stacked is None:
            return None
        k = len(inner)
        return bind(PRIMITIVES["transpose"], stacked, perm=(k, *range(k), *range(k + 1, stacked.ndim)))

    def _rows(self, target: Tensor, sources: list, seeds: np.ndarray, unconnected: UnconnectedGradients) -> list[list]:
        """For each source its gradients, one for each seed."""
        walks = (self._backward([target], sources, [Tensor(np.array(seed))]) for seed in seeds)
        rows = [list(map(dense, walk)) for walk in walks]
        results = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in sources]
        if unconnected is UnconnectedGradients.ZERO:
            pairs = zip(sources, results, strict=True)
            results = [[_zeros(source) if row is None else row for row in column] for source, column in pairs]
        return results

    def _begin(self, unconnected_gradients: Any) -> UnconnectedGradients:
        """What every differentiation begins with."""
        if self._used and not self._persistent:
            raise RuntimeError(
                "A non-persistent GradientTape can only be used to compute one set of gradients: "
                "make it with GradientTape(persistent=True) to call gradient() again."
            )
        try:
            unconnected = UnconnectedGradients(unconnected_gradients)
        except ValueError:
            raise ValueError(
                f"unconnected_gradients must be 'none' or 'zero', received {unconnected_gradients!r}."
            ) from None
        if self._recording and not self._persistent:
            self._stop()
        self._used = True
        return unconnected

    def _backward(self, targets: list, sources: list, output_gradients: Any) -> list[Tensor | IndexedSlices | None]:
        cotangents = self._seed(targets, output_gradients)
        equations, needed = self._between(sources)
        kept = set(map(id, sources))
        for primitive, inputs, params, outputs in reversed(equations):
            incoming = [dense(cotangents.get(id(tensor))) for tensor in outputs]
            if all(gradient is None for gradient in incoming):
                continue
            gradients = tuple(
                _zeros(tensor) if gradient is None and tensor.dtype.is_floating else gradient
                for tensor, gradient in zip(outputs, incoming, strict=True)
            )
            for tensor in outputs:
                if id(tensor) not in kept:
                    cotangents.pop(id(tensor), None)
            for tensor, gradient in zip(inputs, primitive.vjp(gradients, inputs, outputs, **params), strict=True):
                if gradient is not None and id(tensor) in needed:
                    gradient = gradient() if callable(gradient) else gradient
                    _accumulate(cotangents, tensor, gradient if id(tensor) in self._reads else dense(gradient))
        return [self._collect(cotangents, source) for source in sources]

    def _seed(self, targets: list, output_gradients: Any) -> dict[int, Tensor]:
        seeds = [None] * len(targets) if output_gradients is None else _nest.flatten(output_gradients)
        cotangents: dict[int, Tensor] = {}
        for target, seed in zip(targets, seeds, strict=True):
            tensor = self._last_read(target) if isinstance(target, Variable) else target
            if not tensor.dtype.is_floating:
                warnings.warn(
                    "The dtype of the target tensor must be floating (e.g. tf.float32), received "
                    f"tf.{tensor.dtype.name}: its gradients are None. Leave out casts to other types on the way to it.",
                    stacklevel=4,
                )
            elif id(tensor) in self._tracked:
                _accumulate(cotangents, tensor, _ones(tensor) if seed is None else _seed_like(tensor, seed))
        return cotangents

    def _last_read(self, variable: Variable) -> Tensor:
        for key, read in reversed(self._reads.items()):
            if read is variable:
                return self._tracked[key]
        return variable.value()

    def _between(self, sources: list) -> tuple[list, set[int]]:
        """The equations on a path from the sources, and the tensors whose gradients are wanted on the way."""
        wanted = set(map(id, sources))
        needed = {key for key in wanted if key in self._tracked}  # a tensor that is not watched is a constant
        needed |= {key for key, variable in self._reads.items() if id(variable) in wanted}
        equations = []
        for equation in self._equations:
            _, inputs, _, outputs = equation
            if any(id(tensor) in needed for tensor in inputs):
                equations.append(equation)
                needed.update(map(id, outputs))
        return equations, needed

    def _collect(self, cotangents: dict[int, Any], source: Any) -> Tensor | IndexedSlices | None:
        if not isinstance(source, Variable):
            return dense(cotangents.get(id(source)))
        parts = [cotangents[key] for key, read in self._reads.items() if read is source and key in cotangents]
        if parts and all(isinstance(part, IndexedSlices) for part in parts):
            return joined(parts)
        total = None
        for part in map(dense, parts):
            total = part if total is None else bind(PRIMITIVES["add"], total, part)
        return total


def _values_of(leaf: Any) -> Any:
    """The innermost values of a ragged tensor; anything else as it is."""
    return leaf.flat_values if isinstance(leaf, RaggedTensor) else leaf


def _like(source: Any, gradient: Any) -> Any:
    """The gradient of a ragged tensor's values in its rows."""
    is_ragged = isinstance(source, RaggedTensor) and gradient is not None
    return source.with_flat_values(gradient) if is_ragged else gradient


def _tensor_of(target: Any) -> Tensor:
    return target.value() if isinstance(target, Variable) else target


def _stacked(rows: list, shape: tuple[int, ...]) -> Tensor | None:
    """The rows as one tensor whose first dimension is divided into `shape`; None if there are none."""
    if not rows or any(row is None for row in rows):
        return None
    whole = bind(PRIMITIVES["stack"], *rows, axis=0)
    return bind(PRIMITIVES["reshape"], whole, shape=(*shape, *rows[0].shape))


def _seed_like(target: Tensor, seed: Any) -> Tensor:
    seed = to_tensor(seed, like=target)
    if seed.shape != target.shape or seed.dtype != target.dtype:
        raise ValueError(
            f"An output gradient must be as its target: expected shape {target.shape} and dtype {target.dtype.name}, "
            f"received {seed.shape} and {seed.dtype.name}."
        )
    return seed


def _accumulate(cotangents: dict[int, Any], tensor: Tensor, gradient: Any) -> None:
    known = cotangents.get(id(tensor))
    if known is not None:
        gradient = bind(PRIMITIVES["add"], dense(known), dense(gradient))
    cotangents[id(tensor)] = gradient


def _filled(tensor: Any, value: float) -> Tensor:
    scalar = Tensor(np.full((), value, tensor.dtype.numpy))
    return bind(PRIMITIVES["broadcast_to"], scalar, shape=tuple(tensor.shape)) if tensor.shape else scalar


def _ones(tensor: Any) -> Tensor:
    return _filled(tensor, 1.0)


def _zeros(tensor: Any) -> Tensor:
    return _filled(tensor, 0.0)
