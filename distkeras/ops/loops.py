"""Loops: while_loop.

Step by step, and where the number of rounds is known while a function is being traced, a loop is Python's. Where it
depends on values that a trace has not got, condition and body are traced on their own and the loop is one equation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._errors import CaptureError
from distkeras.core.context import state
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import SymbolicTensor, Tensor, to_tensor
from distkeras.ops.branches import pull_back, replay
from distkeras.ops.elementwise import stop_gradient, zeros_of
from distkeras.ops.shape import broadcast_to
from distkeras.ops.tensor_array import TensorArray

# --- the loop as one equation

_while = Primitive("while", effect=True)
_while.def_shape(lambda *specs, condition, body, carried, limit: specs[:carried])


@_while.def_inline
def _run_loop(*inputs: Tensor, condition: Any, body: Any, carried: int, limit: int | None) -> Any:
    *_, last = _rounds(inputs, condition, body, carried, limit)
    return last[0] if carried == 1 else tuple(last)


def _rounds(
    inputs: Sequence[Tensor], condition: Any, body: Any, carried: int, limit: int | None
) -> Iterator[list[Tensor]]:
    """What is carried before each round, and after the last."""
    values, captures = list(inputs[:carried]), inputs[carried:]
    done = 0
    yield values
    while (limit is None or done < limit) and condition.interpret([*values, *captures])[0]:
        values = body.interpret([*values, *captures])
        done += 1
        yield values


@_while.def_kernel
def _while_kernel(
    inputs: Sequence, outputs: Sequence, scratch: Callable, *, condition: Any, body: Any, carried: int, limit: Any
) -> Calls:
    return [(_replay_loop, (inputs, outputs, condition.plan, body.plan, limit, None))]


def _replay_loop(
    inputs: Sequence[np.ndarray],
    values: Sequence[np.ndarray],
    condition: Any,
    body: Any,
    limit: int | None,
    history: list[list[np.ndarray]] | None,
) -> None:
    """Rounds until the condition fails; `values` hold what is carried, and `history` gets a copy before each round."""
    captures = inputs[len(values) :]
    verdict = [np.empty((), bool)]
    for value, array in zip(values, inputs, strict=False):
        np.copyto(value, array)
    done = 0
    while limit is None or done < limit:
        replay(condition, [*values, *captures], verdict)
        if not verdict[0]:
            break
        if history is not None:
            history.append([value.copy() for value in values])
        replay(body, [*values, *captures], values)
        done += 1


@_while.def_vjp
def _while_vjp(
    gradients: tuple, inputs: tuple, outputs: tuple, condition: Any, body: Any, carried: int, limit: int | None
) -> tuple:
    floating = [i for i, tensor in enumerate(inputs) if tensor.dtype.is_floating]
    own = [i for i in floating if i < carried]
    parts: list[Tensor] = []

    def all_at_once() -> list[Tensor]:
        if not parts:
            back = state.trace.subgraph(
                lambda *values: _one_back(body, own, values), [*inputs, *(gradients[i] for i in own)]
            )
            params = {"condition": condition, "body": body, "back": back, "carried": carried, "limit": limit}
            results = _while_gradient(*inputs, *(gradients[i] for i in own), **params)
            parts.extend(results if isinstance(results, tuple) else [results])
        return parts

    return tuple((lambda i=i: all_at_once()[floating.index(i)]) if i in floating else None for i in range(len(inputs)))


def _one_back(body: Any, own: Sequence[int], values: Sequence[Tensor]) -> list[Tensor]:
    """One round backwards: the gradients for what was carried into it and for the captures."""
    inputs, gradients = values[: len(values) - len(own)], values[len(values) - len(own) :]
    given = dict(zip(own, gradients, strict=True))
    return pull_back(body, inputs, [given.get(i) for i in range(len(body.specs))])


# The loop is run once more, keeping what each round began with, and then backwards.
_while_gradient = Primitive("while_gradient", effect=True)


@_while_gradient.def_shape
def _while_gradient_shape(*specs: TensorSpec, back: Any, **params: Any) -> tuple[TensorSpec, ...]:
    return tuple(back.specs)


@_while_gradient.def_inline
def _while_gradient_inline(
    *values: Tensor, condition: Any, body: Any, back: Any, carried: int, limit: int | None
) -> Any:
    own = len([spec for spec in body.specs if spec.dtype.is_floating])
    inputs, gradients = values[: len(values) - own], list(values[len(values) - own :])
    *before, _ = _rounds(inputs, condition, body, carried, limit)
    totals = [broadcast_to(zeros_of(Tensor(np.zeros((), spec.dtype.numpy))), spec.shape) for spec in back.specs[own:]]
    for value in reversed(before):
        found = back.interpret([*value, *inputs[carried:], *gradients])
        gradients, totals = found[:own], [a + b for a, b in zip(totals, found[own:], strict=True)]
    results = (*gradients, *totals)
    return results[0] if len(results) == 1 else results


@_while_gradient.def_kernel
def _while_gradient_kernel(
    inputs: Sequence, outputs: Sequence, scratch: Callable, *, condition: Any, body: Any, back: Any, carried: int,
    limit: int | None,
) -> Calls:  # fmt: skip
    plans = condition.plan, body.plan, back.plan
    own = len([spec for spec in body.specs if spec.dtype.is_floating])
    found = [np.empty_like(array) for array in outputs]
    values = [np.empty_like(array) for array in inputs[:carried]]
    return [
        (
            _replay_backwards,
            (inputs[: len(inputs) - own], inputs[len(inputs) - own :], outputs, found, values, plans, limit),
        )
    ]


def _replay_backwards(
    inputs: Sequence[np.ndarray],
    gradients: Sequence[np.ndarray],
    outputs: Sequence[np.ndarray],
    found: Sequence[np.ndarray],
    values: Sequence[np.ndarray],
    plans: tuple,
    limit: int | None,
) -> None:
    condition, body, back = plans
    history: list[list[np.ndarray]] = []
    _replay_loop(inputs, values, condition, body, limit, history)
    own = len(gradients)
    for out, gradient in zip(outputs, gradients, strict=False):
        np.copyto(out, gradient)
    for total in outputs[own:]:
        total.fill(0)
    for before in reversed(history):
        replay(back, [*before, *inputs[len(values) :], *outputs[:own]], found)
        for out, new in zip(outputs[:own], found, strict=False):
            np.copyto(out, new)
        for total, new in zip(outputs[own:], found[own:], strict=True):
            total += new


@_while_gradient.def_vjp
def _while_gradient_vjp(gradients: tuple, inputs: tuple, outputs: tuple, **params: Any) -> tuple:
    raise CaptureError(
        "The second derivative of a tf.while_loop whose number of rounds depends on tensors is not available inside of "
        "a traced function. Use a number of rounds that is known, or run step by step without `tf.function`."
    )


# --- while_loop


def while_loop(
    cond: Callable,
    body: Callable,
    loop_vars: Any,
    shape_invariants: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    maximum_iterations: int | None = None,
    name: str | None = None,
) -> Any:
    """Replace `loop_vars` by `body(*loop_vars)` while `cond(*loop_vars)` holds.

    Args:
        cond: Gives a bool, or a scalar bool tensor.
        body: Gives as many values as `loop_vars` has, in its structure.
        loop_vars: A list or tuple of tensors, TensorArrays, or structures of them.
        shape_invariants: Accepted: shapes may change from round to round when run step by step. Where the number of
            rounds depends on tensors of a traced function, they must stay the same.
        parallel_iterations, swap_memory: Accepted: they change nothing in results.
        back_prop: False makes the results constants to differentiation.
        maximum_iterations: The most rounds there may be.

    Returns:
        The last values in the structure of `loop_vars`.

    >>> import distkeras as tf
    >>> tf.while_loop(lambda i, s: i < 4, lambda i, s: (i + 1, s + i), (tf.constant(0), tf.constant(0)))[1].numpy()
    np.int32(6)
    """
    for what, function in (("cond", cond), ("body", body)):
        if not callable(function):
            raise TypeError(f"while_loop: {what} must be callable, received {function!r}.")
    if not isinstance(loop_vars, (list, tuple)) or not loop_vars:
        raise ValueError(f"while_loop: loop_vars must be a list of at least one value, received {loop_vars!r}.")
    limit = None if maximum_iterations is None else int(maximum_iterations)
    values = _nest.map_structure(_loop_value, loop_vars)
    done = 0
    while limit is None or done < limit:
        proceed = cond(*values)
        if isinstance(proceed, SymbolicTensor):
            values = _traced_loop(cond, body, values, None if limit is None else limit - done)
            break
        if not proceed:
            break
        values = _as_given(values, body(*values))
        done += 1
    if back_prop:
        return values
    return _nest.map_structure(lambda leaf: stop_gradient(leaf) if isinstance(leaf, Tensor) else leaf, values)


def _loop_value(value: Any) -> Any:
    return value if isinstance(value, TensorArray) else to_tensor(value)


def _as_given(values: Any, results: Any) -> Any:
    """What the body gave, in the structure of the loop variables; a single value may stand for a list of one."""
    if len(values) == 1 and not (isinstance(results, (list, tuple)) and len(results) == 1):
        results = [results]
    if not isinstance(results, (list, tuple)) or len(results) != len(values):
        raise ValueError(
            f"while_loop: the body must give {len(values)} values, one for each of loop_vars, received {results!r}."
        )
    try:
        _nest.assert_same_structure(list(values), list(results))
    except ValueError as error:
        raise ValueError(f"while_loop: the body must give the structure of loop_vars. {error}") from None
    return _nest.pack(values, map(_loop_value, _nest.flatten(list(results))))


def _traced_loop(cond: Callable, body: Callable, values: Any, limit: int | None) -> Any:
    """The loop as one equation of the active trace."""
    leaves = _nest.flatten(values)
    arrays = [leaf if isinstance(leaf, TensorArray) else None for leaf in leaves]
    carried = [leaf.dense() if isinstance(leaf, TensorArray) else leaf for leaf in leaves]

    def unpacked(tensors: Sequence[Tensor]) -> Any:
        pairs = zip(arrays, tensors, strict=True)
        return _nest.pack(values, [tensor if array is None else array.of(tensor) for array, tensor in pairs])

    def one_round(*tensors: Tensor) -> list[Tensor]:
        results = _nest.flatten(_as_given(values, body(*unpacked(tensors))))
        results = [leaf.stack() if isinstance(leaf, TensorArray) else leaf for leaf in results]
        _check_carried(tensors, results)
        return results

    kept: list[Any] = []
    while True:  # until nothing is assigned, and no random number drawn, that is not carried from round to round
        graph = state.trace.subgraph(one_round, carried, kept)
        if set(graph.changed) <= set(kept):
            break
        kept = list(dict.fromkeys([*kept, *graph.changed]))
    test = state.trace.subgraph(lambda *tensors: cond(*unpacked(tensors)), carried, kept)
    before = [state.trace.random_state() if isinstance(item, str) else item.value() for item in kept]
    captures = list({id(tensor): tensor for part in (test, graph) for tensor in part.captures}.values())
    results = _while(
        *carried, *before, *captures, condition=test.aligned(captures),
        body=graph.aligned(captures, kept, before), carried=len(carried) + len(kept), limit=limit,
    )  # fmt: skip
    results = list(results) if isinstance(results, tuple) else [results]
    for item, value in zip(kept, results[len(carried) :], strict=True):
        if not isinstance(item, str):
            item.assign(value)
    return unpacked(results[: len(carried)])


def _check_carried(before: Sequence[Tensor], after: Sequence[Tensor]) -> None:
    for old, new in zip(before, after, strict=True):
        if old.dtype is not new.dtype:
            raise TypeError(
                f"while_loop: a loop variable of dtype {old.dtype.name} becomes {new.dtype.name} in the body: cast it."
            )
        if old.shape != new.shape:
            raise CaptureError(
                f"while_loop: a loop variable of shape {old.shape} becomes {new.shape} in the body; where the number "
                "of rounds depends on tensors of a traced function, shapes must stay. Use a tf.TensorArray, or run "
                "step by step without `tf.function`."
            )
