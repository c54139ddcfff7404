"""How primitives act on values of which each process holds some rows: the last of a primitive's rules.

A value whose first dimension counts the samples of a batch, once or several times over, can be *cut*: a process holds
the rows of its samples. `primitive.cut(units, specs, samples, **params)` says what becomes of the primitive then:

    units      for each input how many rows belong to a sample, 0 for an input that every process holds whole
    specs      of the inputs, uncut
    samples    of the batch
    returns    a `Rows`; None if it cannot work on rows: its inputs are put together again

A primitive without the rule is given whole inputs, which is always right. One with it promises that what it computes
for a row has the same bits whatever other rows are computed along with it, and element-wise ones do by nature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from distkeras.core.spec import TensorSpec

SUM = -1  # an output that is a sum over the samples
Rule = Callable[..., "Rows | None"]


class Rows(NamedTuple):
    """How a primitive is applied to rows.

    Attributes:
        inputs: For each input how many of its rows belong to a sample; 0: it must be whole.
        outputs: The same for the outputs, SUM for one that is a sum over the samples; one number stands for all.
        params: What replaces params when there are so many samples: samples -> a dict. None: nothing.
        state: Which input, if any, is the random state of the first sample.
        has_replica: Whether the parameter `replica` is one that knows of the cut.
        lower_sum: What lowers the one output, a sum, over trees of blocks of rows at once: (inputs, outs, blocks=,
            longest=, trees=, scratch=) -> calls, or None where it does not; see `kernels.tree_product`.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    params: Callable[[int], dict[str, Any]] | None = None
    state: int | None = None
    has_replica: bool = False
    lower_sum: Callable[..., Any] | None = None


def common_unit(units: Sequence[int], specs: Sequence[TensorSpec], samples: int, cut: Sequence[int]) -> int:
    """The rows of a sample that all inputs numbered `cut` agree on, no other one being cut; 0 if they do not."""
    found = {unit for unit in units if unit}
    fits = len(found) == 1 and all(i in cut for i, unit in enumerate(units) if unit)
    unit = found.pop() if fits else 0
    return unit if all(specs[i].shape and specs[i].shape[0] == unit * samples for i in cut) else 0


def each_row(*cut: int, outputs: tuple[int, ...] = (1,), sized: str | None = None, state: int | None = None) -> Rule:
    """The rule of a primitive that treats each row of its inputs numbered `cut` by itself.

    Args:
        cut: Inputs with a row for each of the output; the others are whole.
        outputs: For each output 1 for rows, SUM for a sum over them, 0 for the same everywhere; one stands for all.
        sized: The parameter that holds the output's shape.
        state: The input that holds the random state.
    """

    def rule(units: tuple[int, ...], specs: tuple[TensorSpec, ...], samples: int, **params: Any) -> Rows | None:
        unit = common_unit(units, specs, samples, cut)
        if not unit:
            return None
        inputs = tuple(unit if i in cut else 0 for i in range(len(specs)))
        resize = None if sized is None else lambda count: {sized: (count * unit, *params[sized][1:])}
        return Rows(inputs, tuple(unit * kind if kind > 0 else kind for kind in outputs), resize, state)

    return rule


def all_rows(units: tuple[int, ...], specs: tuple[TensorSpec, ...], samples: int, **params: Any) -> Rows | None:
    """The rule of a primitive that treats each row of all its inputs by itself."""
    return each_row(*range(len(specs)))(units, specs, samples, **params)


def rows_along(*names: str) -> Rule:
    """`all_rows` for a primitive that works along the axes that some parameters hold, if the first is none of them."""

    def rule(units: tuple[int, ...], specs: tuple[TensorSpec, ...], samples: int, **params: Any) -> Rows | None:
        axes = [axis for name in names for axis in _axes(params[name])]
        return None if 0 in axes else all_rows(units, specs, samples)

    return rule


def _axes(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def elementwise_rows(
    units: tuple[int, ...], specs: tuple[TensorSpec, ...], samples: int, output: TensorSpec
) -> Rows | None:
    """The rule of element-wise primitives, whose inputs may be broadcast."""
    unit = max(units)
    rank, rows = len(output.shape), unit * samples
    if {*units} - {0, unit} or not rank or output.shape[0] != rows:
        return None
    follows = [len(spec.shape) == rank and spec.shape[0] == rows for spec in specs]
    if any(mine and not fits for mine, fits in zip(units, follows, strict=True)):
        return None
    return Rows(tuple(unit if fits else 0 for fits in follows), (unit,))
