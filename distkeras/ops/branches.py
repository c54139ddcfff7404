"""Branches decided by a tensor: one of several functions runs.

Step by step, the function is simply called. While a function is being traced and the choice has no value yet, each is
traced on its own and the choice becomes one equation; variables that a branch assigns are outputs of it, and are
assigned after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._errors import CaptureError, InvalidArgumentError
from distkeras.core.context import state
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.tape import GradientTape
from distkeras.core.tensor import SymbolicTensor, Tensor, to_tensor
from distkeras.ops.elementwise import cast

_switch = Primitive("switch", effect=True)  # a branch may print
_switch.def_shape(lambda index, *specs, branches: branches[0].specs)


@_switch.def_inline
def _run_one(index: Tensor, *inputs: Tensor, branches: Sequence[Any]) -> Any:
    outputs = branches[_chosen(index._array, len(branches))].interpret(inputs)
    return outputs[0] if len(outputs) == 1 else tuple(outputs)


@_switch.def_kernel
def _switch_kernel(inputs: Sequence, outputs: Sequence, scratch: Callable, *, branches: Sequence[Any]) -> Calls:
    return [(_replay_one, (inputs, outputs, [branch.plan for branch in branches]))]


def _replay_one(inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray], plans: Sequence[Any]) -> None:
    plan = plans[_chosen(inputs[0], len(plans))]
    replay(plan, inputs[1:], outputs)


def replay(plan: Any, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
    """Run a plan within another's."""
    for buffer, array in zip(plan.inputs, inputs, strict=True):
        np.copyto(buffer, array)
    plan.run()
    for array, buffer in zip(outputs, plan.outputs, strict=True):
        np.copyto(array, buffer)


def _chosen(index: np.ndarray, count: int) -> int:
    """The last branch where the index is none."""
    number = int(index)
    return number if 0 <= number < count else count - 1


@_switch.def_vjp
def _switch_vjp(gradients: tuple, inputs: tuple, outputs: tuple, branches: Sequence[Any]) -> tuple:
    """The derivative of the branch that ran, chosen in the same way; it runs once more for that."""
    index, *captures = inputs
    parts: list[Tensor] = []

    def all_at_once() -> list[Tensor]:
        return parts or parts.extend(_branches(index, functions)) or parts

    functions = [lambda branch=branch: pull_back(branch, captures, gradients) for branch in branches]
    order = {id(tensor): place for place, tensor in enumerate(t for t in captures if t.dtype.is_floating)}
    return None, *(
        (lambda tensor=tensor: all_at_once()[order[id(tensor)]]) if tensor.dtype.is_floating else None
        for tensor in captures
    )


def pull_back(graph: Any, inputs: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> list[Tensor]:
    """The gradients of a subgraph for its floating-point inputs, zeros where there are none."""
    sources = [tensor for tensor in inputs if tensor.dtype.is_floating]
    with GradientTape() as tape:
        tape.watch(sources)
        results = graph.interpret(inputs, again=True)
        pairs = [(y, g) for y, g in zip(results, gradients, strict=True) if y.dtype.is_floating and g is not None]
    targets, seeds = [y for y, _ in pairs], [g for _, g in pairs]
    return tape.gradient(targets, sources, seeds, unconnected_gradients="zero")


def _branches(index: Tensor, functions: Sequence[Callable[[], Any]]) -> Any:
    """The choice as one equation of the active trace."""
    graphs = [state.trace.subgraph(function) for function in functions]
    _check_alike(graphs)
    changed = list(dict.fromkeys(item for graph in graphs for item in graph.changed if not isinstance(item, str)))
    before = [variable.value() for variable in changed]
    captures = list({id(tensor): tensor for graph in graphs for tensor in [*graph.captures, *before]}.values())
    aligned = tuple(graph.aligned(captures, changed, before) for graph in graphs)
    results = _switch(index, *captures, branches=aligned)
    results = list(results) if isinstance(results, tuple) else [results]
    for variable, value in zip(changed, results[len(results) - len(changed) :], strict=True):
        variable.assign(value)
    following = iter(results)
    return _nest.map_structure(lambda leaf: None if leaf is None else next(following), graphs[0].structure)


def _check_alike(graphs: Sequence[Any]) -> None:
    """Branches give tensors in one structure, of the same types and shapes."""
    first, *others = (graph.structure for graph in graphs)
    for other in others:
        try:
            _nest.assert_same_structure(first, other)
        except ValueError as error:
            raise TypeError(f"All branches must return the same structure of tensors. {error}") from None
        for mine, theirs in zip(_nest.flatten(first), _nest.flatten(other), strict=True):
            if (mine is None) != (theirs is None) or (mine is not None and mine.dtype is not theirs.dtype):
                raise TypeError(f"All branches must return tensors of the same types, received {mine} and {theirs}.")
            if mine is not None and mine.shape != theirs.shape:
                raise CaptureError(
                    f"The branches give tensors of different shapes, {mine.shape} and {theirs.shape}: while a function "
                    "is being traced they must be equal. Pad them, or run step by step without `tf.function`."
                )


# --- the public functions


def cond(pred: Any, true_fn: Callable | None = None, false_fn: Callable | None = None, name: str | None = None) -> Any:
    """What `true_fn()` gives if `pred` holds, else what `false_fn()` gives; only one is run.

    Args:
        pred: A bool, or a scalar bool tensor.
        true_fn, false_fn: Functions without arguments. Inside a traced function both are traced, and give tensors in
            one structure, of the same types and shapes.

    Raises:
        TypeError: A function cannot be called, or the results differ in structure or type.

    >>> import distkeras as tf
    >>> x = tf.constant(3.0)
    >>> tf.cond(x > 2.0, lambda: x * 10.0, lambda: x).numpy()
    np.float32(30.0)
    """
    for what, function in (("true_fn", true_fn), ("false_fn", false_fn)):
        if not callable(function):
            raise TypeError(f"cond: {what} must be callable, received {function!r}: write `lambda: value`.")
    chosen = pred if isinstance(pred, (bool, np.bool_)) else to_tensor(pred)
    if isinstance(chosen, Tensor) and chosen.spec.size != 1:
        raise InvalidArgumentError(
            f"cond: pred must be a scalar, received shape {chosen.shape}; tf.where chooses element by element."
        )
    if isinstance(chosen, SymbolicTensor):
        return _branches(cast(cast(_scalar(chosen), "bool"), "int32"), [false_fn, true_fn])
    return true_fn() if chosen else false_fn()


def _scalar(tensor: Tensor) -> Tensor:
    from distkeras.ops.shape import reshape

    return reshape(tensor, ()) if tensor.ndim else tensor


def switch_case(branch_index: Any, branch_fns: Any, default: Callable | None = None, name: str = "switch_case") -> Any:
    """What the function with number `branch_index` gives; the default, or the last, where there is none.

    Args:
        branch_index: An int, or a scalar integer tensor.
        branch_fns: Functions without arguments: a list, a dict from numbers, or (number, function) pairs.
    """
    functions = dict(branch_fns) if isinstance(branch_fns, dict) else _numbered(branch_fns)
    if not functions or not all(map(callable, functions.values())):
        raise TypeError(f"switch_case: expected functions without arguments, received {branch_fns!r}.")
    last = default or functions[max(functions)]
    index = to_tensor(branch_index)
    if not isinstance(index, SymbolicTensor):
        return functions.get(int(index), last)()
    if sorted(functions) != list(range(len(functions))):
        raise ValueError(f"switch_case: the numbers must be 0, 1, 2, ..., received {sorted(functions)}.")
    return _branches(index, [*(functions[i] for i in range(len(functions))), last])


def _numbered(functions: Any) -> dict[int, Callable]:
    functions = list(functions)
    return dict(enumerate(functions)) if all(map(callable, functions)) else dict(functions)


def case(
    pred_fn_pairs: Any,
    default: Callable | None = None,
    exclusive: bool = False,
    strict: bool = False,
    name: str = "case",
) -> Any:
    """What the function of the first predicate that holds gives, else what `default` gives.

    Args:
        pred_fn_pairs: (scalar bool tensor, function without arguments) pairs.
        exclusive: No more than one predicate may hold; checked when run step by step, and not inside a traced function.
        strict: Accepted: results keep their structure in any case.

    Raises:
        InvalidArgumentError: No predicate holds and there is no default; or several do, with `exclusive`.
    """
    pairs = [(to_tensor(predicate), function) for predicate, function in pred_fn_pairs]
    if any(isinstance(predicate, SymbolicTensor) for predicate, _ in pairs):
        if exclusive or default is None:
            raise CaptureError(
                "case: what `exclusive=True`, or no default, asks for cannot be checked while the function is being "
                "traced: give a default and leave `exclusive` out."
            )
        result = default
        for predicate, function in reversed(pairs):
            result = lambda p=predicate, f=function, rest=result: cond(p, f, rest)  # noqa: E731
        return result()
    holding = [function for predicate, function in pairs if predicate]
    if len(holding) > 1 and exclusive:
        raise InvalidArgumentError(f"case: with exclusive=True, one predicate may hold, {len(holding)} do.")
    if not holding and default is None:
        raise InvalidArgumentError("case: none of the predicates holds, and there is no default.")
    return (holding[0] if holding else default)()
