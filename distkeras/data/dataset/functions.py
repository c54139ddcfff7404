"""Users' functions of elements: traced and replayed as a plan where they can be, else called as they are.

function, spec of an element --trace--> graph --> a plan for each form (shapes, types) of elements
                                          |
                                          '-----> lifted: one plan for many elements at once, where no element's
                                                  result depends on the others
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._errors import CaptureError
from distkeras.core.context import Replica, on_replica
from distkeras.core.random_state import global_seed
from distkeras.core.spec import TensorSpec
from distkeras.data.dataset.calling import FIRST_DRAW, UntracedFunction
from distkeras.data.dataset.lifting import can_lift, keeps_rows, lifted
from distkeras.data.dataset.stage import Rows
from distkeras.data.dataset.structure import (
    Leaves,
    as_result,
    common,
    loosened,
    spec_of,
)
from distkeras.data.sizes import OtherSizeError, note_values, values_at_hand
from distkeras.graph.ir import Graph, read_variable
from distkeras.graph.plan import Plan
from distkeras.graph.trace import trace

# Sizes that stand for unknown ones: what an output has of both, it has of any.
_PROBES = (12, 24)
# Of more forms than this, elements are taken to differ all the time: a plan for each would cost more than it gains.
_MOST_FORMS = 16
_MOST_COUNTS = 8
# Numbers of elements that are called together, so that a plan for each is soon made; fewer are filled up.
_SIZES = (1, 4, 16, 64)


class ElementFunction:
    """A function of elements.

    Args:
        function: Takes the parts of an element that is a tuple, else the element.
        what: The transformation that it was given to, for messages.
        spec: The structure of the elements' specs; None if that is not known yet.

    Attributes:
        is_traced: Whether it is known to be traced for all elements.
        keeps_rows: Whether it is, and a row of its results depends on the same row of the element alone.
    """

    def __init__(self, function: Callable, what: str, spec: Any) -> None:
        if not callable(function):
            raise TypeError(f"{what} expects a function of an element, received {function!r}.")
        self._function = function
        self._what = what
        self._spec: Any = None
        self._forms: dict[tuple, _Traced | None] = {}
        self.is_traced = False
        self.keeps_rows = False
        self._traced: _Traced | None = None
        if spec is not None:
            self._infer(spec)

    @property
    def known_spec(self) -> Any:
        """The structure of the results' specs, None before it is known."""
        return self._spec

    # --- what it gives

    def _infer(self, spec: Any) -> None:
        leaves = _nest.flatten(spec)
        if any(not isinstance(leaf, TensorSpec) or leaf.shape.rank is None for leaf in leaves):
            return
        if all(leaf.shape.is_fully_defined() for leaf in leaves):
            self._traced = self._trace(spec)
            self.is_traced = self._traced is not None
            if self._traced is not None:
                self._spec = self._traced.structure
                self.keeps_rows = self._traced.keeps_rows
            return
        try:
            found = [
                self._trace(_nest.map_structure(lambda leaf, size=size: _filled(leaf, size), spec)) for size in _PROBES
            ]
        except Exception:  # sizes that do not fit, perhaps: the elements themselves will show
            return
        if None not in found and _nest.structure_key(found[0].structure) == _nest.structure_key(found[1].structure):
            pairs = zip(*(_nest.flatten(version.structure) for version in found), strict=True)
            self._spec = _nest.pack(found[0].structure, [common(*pair) for pair in pairs])
            self.is_traced = True
            self.keeps_rows = found[0].keeps_rows

    def _trace(self, spec: Any, leaves: Leaves | None = None) -> _Traced | None:
        """The function traced for elements of known sizes; None if it looks at values.

        Args:
            spec: What is known of such an element.
            leaves: One that is at hand, from whose values sizes may follow.
        """

        def results(*args: Any) -> Any:
            if leaves is not None:
                note_values(_nest.flatten(args if type(spec) is tuple else args[0]), leaves)
            return as_result(self._function(*args), self._what)

        args = spec if type(spec) is tuple else (spec,)
        try:
            with on_replica(Replica()), values_at_hand():
                return _Traced(*trace(results, args))
        except CaptureError:
            return None

    # --- calling it

    def __call__(self, structure: Any, leaves: Leaves, draw: int = 0) -> Leaves:
        """The leaves of the result.

        Args:
            structure: How the element's leaves are nested.
            leaves: The leaves.
            draw: What random numbers are functions of, besides the seed.
        """
        traced = self._traced_for(structure, leaves)
        if traced is None:
            return self._call(structure, leaves, draw)
        if self._spec is None:
            self._spec = _loose(traced.structure)
        try:
            return traced.run(leaves, draw)
        except OtherSizeError:
            return self._call(structure, leaves, draw)

    def can_call_together(self, structure: Any, leaves: Leaves) -> bool:
        """Whether elements of this form may be given to `call_together`."""
        traced = self._traced_for(structure, leaves)
        return traced is not None and traced.can_lift

    def call_together(self, structure: Any, elements: list[Leaves]) -> list[Leaves]:
        """The leaves of the results for several elements, of which the first is of a form that can be called so.

        Raises:
            Exception: What calling it for one of them raises; or that it must be called for each alone.
        """
        return self._traced_for(structure, elements[0]).run_together(elements)

    def _traced_for(self, structure: Any, leaves: Leaves) -> _Traced | None:
        form = tuple((leaf.shape, leaf.dtype) if isinstance(leaf, np.ndarray) else None for leaf in leaves)
        if form not in self._forms:
            self._forms[form] = self._trace_form(structure, leaves)
        return self._forms[form]

    def _trace_form(self, structure: Any, leaves: Leaves) -> _Traced | None:
        if len(self._forms) >= _MOST_FORMS or not all(isinstance(leaf, np.ndarray) for leaf in leaves):
            return None
        if None in self._forms.values():  # it looks at values, whatever the sizes
            return None
        return self._trace(_nest.pack(structure, [spec_of(leaf) for leaf in leaves]), leaves)

    def _call(self, structure: Any, leaves: Leaves, draw: int) -> Leaves:
        return self.adopt(self.as_it_is(structure)((leaves, draw)))

    def as_it_is(self, structure: Any) -> UntracedFunction:
        """The function without its traces, as other processes may call it."""
        return UntracedFunction(self._function, self._what, structure)

    def adopt(self, result: Any) -> Leaves:
        """The leaves of what an UntracedFunction gave."""
        found = _nest.flatten(result)
        if self._spec is None:
            self._spec = _nest.pack(result, [loosened(leaf) for leaf in found])
        return found

    def runs_python_for(self, structure: Any, leaves: Leaves) -> bool:
        """Whether it is called as it is for elements of this form."""
        return self._traced_for(structure, leaves) is None

    def mapped(self, rows: Rows | None) -> Rows | None:
        """The results for rows, with random access as well; None unless that gives the same as calling it in order."""
        if rows is None or self._traced is None or not self._traced.is_pure:
            return None
        return MappedRows(rows, self._traced)


def _filled(spec: TensorSpec, size: int) -> TensorSpec:
    return TensorSpec([size if dim is None else dim for dim in spec.shape], spec.dtype)


def _loose(structure: Any) -> Any:
    return _nest.map_structure(lambda spec: TensorSpec([None] * len(spec.shape), spec.dtype), structure)


class _Traced:
    """A function traced for one form of elements.

    Attributes:
        structure: The results' specs.
        is_pure: Whether the results depend on the element alone.
    """

    def __init__(self, graph: Graph, structure: Any) -> None:
        self._graph = graph
        self.structure = structure
        kinds = [equation.primitive for equation in graph.equations]
        self.is_pure = graph.random_state is None and not any(kind.effect or kind is read_variable for kind in kinds)
        self.can_lift = self.is_pure and can_lift(graph)
        self.keeps_rows = self.is_pure and keeps_rows(graph)
        self._plans: OrderedDict[int | None, Plan] = OrderedDict()
        self._lock = threading.Lock()  # a plan's buffers are one thread's at a time

    def run(self, leaves: Leaves, draw: int = 0) -> Leaves:
        """The results for one element."""
        with self._lock:
            plan = self._plan(None)
            for buffer, leaf in zip(plan.inputs, leaves, strict=True):
                np.copyto(buffer, leaf)
            if plan.random_state is not None:
                plan.random_state[:] = global_seed(), FIRST_DRAW + draw, 0
            plan.run()
            return [buffer.copy() for buffer in plan.outputs]

    def run_together(self, elements: list[Leaves]) -> list[Leaves]:
        """The results for several elements."""
        size = next((size for size in _SIZES if size >= len(elements)), len(elements))
        with self._lock:
            plan = self._plan(size)
            for buffer, column in zip(plan.inputs, zip(*elements, strict=True), strict=True):
                for place, leaf in enumerate(column):
                    if leaf.shape != buffer.shape[1:]:
                        raise OtherSizeError
                    buffer[place] = leaf[()]
                buffer[len(elements) :] = column[-1][()]
            plan.run()
            results = [buffer[: len(elements)].copy() for buffer in plan.outputs]
        return [[leaf[place, ...] for leaf in results] for place in range(len(elements))]

    def run_rows(self, rows: Rows, numbers: np.ndarray) -> Leaves:
        """The results for rows, all at once."""
        with self._lock:
            plan = self._plan(len(numbers))
            rows.take(numbers, out=plan.inputs)
            plan.run()
            return [buffer.copy() for buffer in plan.outputs]

    def _plan(self, count: int | None) -> Plan:
        plan = self._plans.get(count)
        if plan is None or not plan.is_current:
            plan = self._plans[count] = Plan(self._graph if count is None else lifted(self._graph, count))
            if len(self._plans) > _MOST_COUNTS:
                self._plans.popitem(last=False)
        self._plans.move_to_end(count)
        return plan


class MappedRows(Rows):
    """A traced function of rows."""

    def __init__(self, rows: Rows, traced: _Traced) -> None:
        self._rows, self._traced = rows, traced
        self.count, self.spec = rows.count, traced.structure

    def take(self, numbers: np.ndarray, out: list[np.ndarray] | None = None) -> Leaves:
        if self._traced.can_lift and len(numbers):
            results = self._traced.run_rows(self._rows, numbers)
        else:
            leaves = self._rows.take(numbers)
            found = [self._traced.run([leaf[i, ...] for leaf in leaves]) for i in range(len(numbers))]
            specs = _nest.flatten(self.spec)
            results = [
                np.stack(parts) if found else np.empty((0, *spec.shape), spec.dtype.numpy)
                for spec, parts in zip(specs, zip(*found, strict=True) if found else [()] * len(specs), strict=True)
            ]
        if out is None:
            return results
        for place, result in zip(out, results, strict=True):
            np.copyto(place, result)
        return out
