"""A step function applied along the time axis: `tf.keras.backend.rnn`, and what recurrent layers of any cell run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from distkeras import _nest, ops
from distkeras.core.tensor import Tensor, to_tensor


def rnn(
    step_function: Callable,
    inputs: Any,
    initial_states: Sequence[Any],
    go_backwards: bool = False,
    mask: Any = None,
    constants: Sequence[Any] | None = None,
    unroll: bool = False,
    input_length: Any = None,
    time_major: bool = False,
    zero_output_for_mask: bool = False,
) -> tuple[Any, Any, list[Any]]:
    """Apply a function to one time step after the other, handing on states.

    Steps are always unrolled: their number is known when this runs.

    Args:
        step_function: (inputs at one step, states + constants) -> (output, new states), states being a list.
        inputs: [samples, time, ...], or a structure of such tensors.
        initial_states: The states before the first step.
        go_backwards: Whether the last step comes first; outputs are then in that order.
        mask: bool [samples, time] or [samples, time, 1]; at steps where it is false a sample keeps its states and its
            last output, which before the first step that counts is zero.
        constants: Passed to every step after the states.
        unroll: Accepted: see above.
        input_length: How many steps count, one int or one for each sample; used where there is no mask.
        time_major: Whether inputs, outputs and mask have time first, then samples.
        zero_output_for_mask: Whether outputs are zero where the mask is false.

    Returns:
        The last output, all outputs [samples, time, ...], and the last states.

    Raises:
        ValueError: There is no time step, or inputs disagree on their number.

    >>> import distkeras as tf
    >>> add = lambda x, states: (x + states[0], [x + states[0]])
    >>> last, outputs, states = tf.keras.backend.rnn(add, tf.constant([[[1.0], [2.0], [3.0]]]), [tf.zeros((1, 1))])
    >>> outputs.numpy().ravel().tolist()
    [1.0, 3.0, 6.0]
    """
    axis = 0 if time_major else 1
    rows = _time_steps(inputs, axis)
    counts = _mask_steps(mask, input_length, rows, axis)
    if go_backwards:
        rows.reverse()
        counts.reverse()
    states, outputs, last = list(initial_states), [], None
    for row, counting in zip(rows, counts, strict=True):
        output, new_states = step_function(row, [*states, *(constants or ())])
        new_states = list(new_states)
        if counting is not None:
            if last is None or zero_output_for_mask:
                last = _nest.map_structure(ops.zeros_like, output)
            output = _choose(counting, output, last)
            new_states = _choose(counting, new_states, states)
        last, states = output, new_states
        outputs.append(output)
    stacked = [ops.stack(leaves, axis) for leaves in zip(*map(_nest.flatten, outputs), strict=True)]
    return last, _nest.pack(last, stacked), states


def _time_steps(inputs: Any, axis: int) -> list[Any]:
    """The structure of inputs at each step."""
    leaves = [to_tensor(leaf) for leaf in _nest.flatten(inputs)]
    lengths = {leaf.shape[axis] if leaf.ndim > axis else 0 for leaf in leaves}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(
            "A recurrence needs inputs of at least one time step, and as many for each of them; received the shapes "
            f"{[tuple(leaf.shape) for leaf in leaves]}, time being axis {axis}."
        )
    return [_nest.pack(inputs, row) for row in zip(*(ops.unstack(leaf, axis=axis) for leaf in leaves), strict=True)]


def _mask_steps(mask: Any, input_length: Any, rows: list[Any], axis: int) -> list[Tensor | None]:
    """bool [samples] for each step, or Nones."""
    samples, steps = _nest.flatten(rows[0])[0].shape[0], len(rows)
    if mask is None and input_length is not None and not (isinstance(input_length, int) and input_length >= steps):
        lengths = ops.broadcast_to(ops.reshape(to_tensor(input_length), (-1,)), (samples,))
        mask, axis = ops.sequence_mask(lengths, steps), 1
    if mask is None:
        return [None] * steps
    return ops.unstack(fitting_mask(mask, (steps, samples) if axis == 0 else (samples, steps)), axis=axis)


def fitting_mask(mask: Any, shape: tuple[int, int]) -> Tensor:
    """The mask as a bool tensor of this shape; a last axis of size 1 is left out.

    Raises:
        ValueError: It is of another shape.
    """
    mask = ops.cast(to_tensor(mask), "bool")
    if tuple(mask.shape) not in (shape, (*shape, 1)):
        raise ValueError(f"The mask of a recurrence must be of shape {shape}, received {tuple(mask.shape)}.")
    return ops.reshape(mask, shape)


def _choose(counting: Tensor, new: Any, old: Any) -> Any:
    """`new` for the samples that count, `old` for the others."""

    def choose(new: Tensor, old: Tensor) -> Tensor:
        return ops.where(ops.reshape(counting, (-1,) + (1,) * (new.ndim - 1)), new, old)

    return _nest.pack(new, [choose(*pair) for pair in zip(_nest.flatten(new), _nest.flatten(old), strict=True)])
