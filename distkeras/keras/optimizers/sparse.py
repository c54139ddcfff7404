"""Updates of variables whose gradients are IndexedSlices.

values, indices --> those of all ranks --> equal rows summed, clipped --> the optimizer's rule

Which rule that is follows TensorFlow 2.0's `_resource_apply_sparse`. Where untouched rows stay as they are, the touched
ones of the variable and its slots are taken out, updated by the optimizer's own kernel, and put back: the costs are
those of the rows, but for slots that decay everywhere. Adam moves every row by its moving averages: its update is the
whole variable's, with a gradient that is zero elsewhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.indexed_slices import IndexedSlices
from distkeras.core.tensor import Tensor
from distkeras.core.variable import Variable
from distkeras.keras.optimizers.arena import ParameterGroup, constrain
from distkeras.kernels import gather, update


class SlicesUpdate:
    """What a call of apply_gradients updates by IndexedSlices; it takes the place of a `GroupUpdate`.

    Args:
        group: The group that holds the variable.
        variable: Has at least one dimension, along which its rows are counted.
        count: The number of rows given at each call, equal ones counted apart.
        aggregate: Whether the rows of all ranks are joined.

    Attributes:
        values, indices: To be filled with the rows of the gradient and their numbers.
        views: After `collect` the gradient.
    """

    views: list[np.ndarray]

    def __init__(self, group: ParameterGroup, variable: Variable, count: int, aggregate: bool) -> None:
        self.group = group
        self.variable = variable
        self.constrained = [variable] if variable.constraint is not None else []
        self.values = np.empty((count, *variable.shape[1:]), group.dtype)
        self.indices = np.empty(count, np.int64)
        self._index = group.index(variable)
        self._width = math.prod(variable.shape[1:])
        self._join = group.reducer.join if aggregate else lambda rows, key: rows

    def joined(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices and values of all ranks: [rows] and [rows, width]."""
        values = self.values.reshape(self.indices.size, self._width)
        return self._join(self.indices, (self._index, "indices")), self._join(values, (self._index, "values"))

    def check(self, outside: int) -> None:
        """Raise InvalidArgumentError if some indices lie outside of the variable."""
        if outside:
            raise InvalidArgumentError(
                f"A gradient of {self.variable.name!r} has {outside} indices outside of [0, {self.variable.shape[0]})."
            )

    def collect(self, optimizer: Any = None) -> None:
        """Join the ranks' rows and add equal ones up."""
        raise NotImplementedError

    @property
    def pieces(self) -> list[list[np.ndarray]]:
        """After `collect` the gradient, for clipping."""
        return [[view.reshape(-1)] for view in self.views]

    def constrain(self) -> None:
        """Apply the variable's constraint."""
        constrain(self.constrained)

    def update(self, optimizer: Any) -> None:
        """Apply the optimizer's rule, after its `begin_step`."""
        raise NotImplementedError


class WholeUpdate(SlicesUpdate):
    """Of all rows: the gradient is written out in the arena."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.views = [self.group.gradients.views[self._index].reshape(-1, self._width)]

    def collect(self, optimizer: Any = None) -> None:
        indices, values = self.joined()
        (gradient,), outside = self.views, np.zeros(1, np.int64)
        gradient.fill(0)
        gather.add_rows[self.group.dtype](indices, values, gradient, outside)
        self.check(outside[0])

    def update(self, optimizer: Any) -> None:
        for span in self.group.runs([self._index]):
            optimizer.update(self.group, span)


class RowsUpdate(SlicesUpdate):
    """Of the rows that occur.

    Attributes:
        rows: After `collect` their numbers, each once, in the order of `views[0]`.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._places = np.zeros(self.variable.shape[0], np.int64)
        self._tables = [
            arena.views[self._index].reshape(-1, self._width)
            for arena in (self.group.parameters, *self.group.slots.values())
        ]
        self._reserve(self.indices.size)
        self.rows = self._rows[:0]

    def _reserve(self, count: int) -> None:
        """Room for some rows: of their numbers, the gradient, the variable, and each slot."""
        self._rows = np.empty(count, np.int64)
        self._summed, *self._taken = (np.empty((count, self._width), self.group.dtype) for _ in (0, *self._tables))

    @classmethod
    def of(cls, group: ParameterGroup, variable: Variable, values: Tensor, indices: Tensor) -> RowsUpdate:
        """An update by these rows, of this rank alone, collected already."""
        made = cls(group, variable, indices.shape[0], False)
        np.copyto(made.values, values._value("rows to update"))
        np.copyto(made.indices, indices._value("rows to update"))
        made.collect()
        return made

    def collect(self, optimizer: Any = None) -> None:
        indices, values = self.joined()
        if indices.size > self._rows.size:
            self._reserve(indices.size)
        counts = np.zeros(2, np.int64)
        kernel = gather.sum_rows[self.group.dtype]
        kernel(indices, values, self._places, self._rows, self._summed, counts)
        self.check(counts[1])
        self.rows, self.views = self._rows[: counts[0]], [self._summed[: counts[0]]]

    @property
    def slices(self) -> IndexedSlices:
        """A copy of the gradient, as collected."""
        values = self.views[0].reshape(-1, *self.variable.shape[1:]).copy()
        return IndexedSlices(Tensor(values), Tensor(self.rows.copy()), self.variable.shape)

    def update(self, optimizer: Any) -> None:
        parts = [taken[: self.rows.size] for taken in self._taken]
        for table, part in zip(self._tables, parts, strict=True):
            np.take(table, self.rows, axis=0, out=part, mode="clip")  # 'raise' would copy `out`
        for slot, factor in optimizer.decaying_slots().items():
            whole = self.group.slots[slot].views[self._index].reshape(-1)
            update.scale[self.group.dtype](whole, self.group.dtype.type(factor))
        parameters, *slots = (part.reshape(-1) for part in parts)
        optimizer.update(_Rows(self.group.dtype, [parameters, self.views[0].reshape(-1), *slots]), slice(None))
        for table, part in zip(self._tables, parts, strict=True):
            table[self.rows] = part


class _Rows:
    """Rows taken out of a group's arenas, as kernels are given them."""

    def __init__(self, dtype: np.dtype, arrays: list[np.ndarray]) -> None:
        self.dtype = dtype
        self._arrays = arrays

    def arrays(self, part: slice) -> list[np.ndarray]:
        return self._arrays
