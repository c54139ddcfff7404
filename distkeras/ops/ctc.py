"""Connectionist temporal classification: the loss of sequences whose labels have no known places, and decoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.sparse_tensor import SparseTensor
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.kernels import ctc as kernels
from distkeras.ops._op import op
from distkeras.ops._second_derivative import second_derivative
from distkeras.ops.elementwise import cast, equal, logical_and, logical_or, where
from distkeras.ops.indexing import gather
from distkeras.ops.joining import concat, stack, unstack
from distkeras.ops.reduction import reduce_logsumexp
from distkeras.ops.shape import expand_dims, reshape, transpose
from distkeras.ops.softmax import log_softmax
from distkeras.ops.sparse import to_dense

_ctc = Primitive("ctc")
_ctc_gradient = Primitive("ctc_gradient")
_IMPOSSIBLE = -1e30  # a logarithm of 0 whose derivative is a number


@_ctc.def_shape
def _ctc_shape(x: TensorSpec, labels: TensorSpec, label_lengths: TensorSpec, lengths: TensorSpec, blank: int) -> tuple:
    """The losses, and the part of the probability that emits each class at each step."""
    return TensorSpec(x.shape[1:2], x.dtype), x


@_ctc.def_kernel
def _ctc_kernel(inputs: Sequence, outputs: Sequence, scratch: Callable, *, blank: int) -> Calls:
    steps, most = inputs[0].shape[0], inputs[1].shape[1]
    alpha = scratch((steps + 2, 2 * most + 1), np.float64)
    return [
        (_check_labels, (*inputs[:4], blank)),
        (kernels.ctc[inputs[0].dtype], (*inputs, blank, alpha, *outputs)),
    ]


def _check_labels(x: np.ndarray, labels: np.ndarray, counts: np.ndarray, lengths: np.ndarray, blank: int) -> None:
    steps, _, classes = x.shape
    if counts.size and not (0 <= counts.min() and counts.max() <= labels.shape[1]):
        raise InvalidArgumentError(f"ctc_loss: label lengths must be in [0, {labels.shape[1]}], received {counts}.")
    if lengths.size and not (0 <= lengths.min() and lengths.max() <= steps):
        raise InvalidArgumentError(f"ctc_loss: lengths must be in [0, {steps}], received {lengths}.")
    used = labels[np.arange(labels.shape[1]) < counts[:, np.newaxis]]
    wrong = used[(used < 0) | (used >= classes) | (used == blank)]
    if wrong.size:
        raise InvalidArgumentError(
            f"ctc_loss: labels must be classes in [0, {classes}) other than the blank {blank}, received {wrong[0]}."
        )


@_ctc.def_vjp
def _ctc_vjp(gradients: tuple, inputs: tuple, outputs: tuple, blank: int) -> tuple:
    return (lambda: _ctc_gradient(gradients[0], outputs[1], *inputs, blank=blank)), None, None, None


_ctc_gradient.def_shape(lambda g, occupancy, x, labels, label_lengths, lengths, blank: x)


@_ctc_gradient.def_kernel
def _ctc_gradient_kernel(inputs: Sequence, outputs: Sequence, scratch: Callable, *, blank: int) -> Calls:
    g, occupancy, (out,) = inputs[0], inputs[1], outputs
    return [(np.multiply, (occupancy, g[:, np.newaxis], out)), (np.negative, (out, out))]


@_ctc_gradient.def_vjp
def _ctc_gradient_vjp(gradients: tuple, inputs: tuple, outputs: tuple, blank: int) -> tuple:
    g, _, x, *targets = inputs
    by_steps = lambda x: _loss_by_steps(x, *targets, blank)  # noqa: E731
    for_g, for_x = second_derivative(by_steps, (g,), (x,), gradients)
    return for_g, None, for_x, None, None, None


def _loss_by_steps(x: Tensor, labels: Tensor, label_lengths: Tensor, lengths: Tensor, blank: int) -> Tensor:
    """The loss, written in ops: what its second derivative is taken from."""
    steps, batch, _ = x.shape
    count = labels.shape[1]
    places = to_tensor(np.arange(2 * count + 1, dtype=np.int32)[np.newaxis])
    blanks = to_tensor(np.full((batch, count + 1), blank, np.int32))
    woven = [reshape(stack([blanks[:, :-1], labels], -1), (batch, 2 * count)), blanks[:, -1:]]
    states = concat(woven, 1)
    impossible = to_tensor(np.full((batch, 2 * count + 1), _IMPOSSIBLE, x.dtype.numpy))
    used = places <= expand_dims(2 * label_lengths, 1)
    before = concat([to_tensor(np.full((batch, 2), blank, np.int32)), states[:, :-2]], 1)
    skips = logical_and(states != blank, logical_and(states != before, places >= 2))
    alpha = impossible
    for step, row in enumerate(unstack(x)):
        emitted = gather(row, where(used, states, 0), batch_dims=1)
        if step == 0:
            new = where(logical_and(places < 2, used), emitted, impossible)
        else:
            one = concat([impossible[:, :1], alpha[:, :-1]], 1)
            two = where(skips, concat([impossible[:, :2], alpha[:, :-2]], 1), impossible)
            new = where(used, reduce_logsumexp(stack([alpha, one, two]), 0) + emitted, impossible)
        alpha = where(expand_dims(step < lengths, 1), new, alpha)
    last = expand_dims(2 * label_lengths, 1)
    ends = logical_or(equal(places, last), equal(places, last - 1))
    return -reduce_logsumexp(where(ends, alpha, impossible), 1)


@op
def ctc_loss(
    labels: Any,
    logits: Any,
    label_length: Any,
    logit_length: Any,
    logits_time_major: bool = True,
    unique: Any = None,
    blank_index: int | None = None,
    name: str | None = None,
) -> Tensor:
    """-log of the probability that sequences of classes are emitted, whatever steps their labels fall on.

    Args:
        labels: [batch, labels] integers, or a SparseTensor of them, whose rows are as long as they have values.
        logits: [steps, batch, classes], floating-point; softmax is applied to them.
        label_length: [batch]: how many labels of each row count; not used with a SparseTensor.
        logit_length: [batch]: how many steps of each sequence count.
        logits_time_major: Whether steps come first; otherwise logits are [batch, steps, classes].
        unique: Accepted; it only makes TensorFlow's computation cheaper.
        blank_index: The class that stands for no label; by default 0. With a SparseTensor it must be given, and
            negative numbers count from the end.

    Returns:
        [batch]; inf where there are fewer steps than the labels need.

    Raises:
        InvalidArgumentError: Shapes do not fit, or labels are no classes.
        ValueError: There is no `blank_index` with a SparseTensor.

    Source: Graves et al. 2006, "Connectionist temporal classification".

    >>> import distkeras as tf
    >>> tf.nn.ctc_loss([[1]], tf.zeros((2, 1, 2)), [1], [2]).numpy().round(4)
    array([0.2877], dtype=float32)
    """
    x = to_tensor(logits)
    if x.ndim != 3 or not x.dtype.is_floating:
        raise InvalidArgumentError(
            f"ctc_loss: expected logits [steps, batch, classes], received {x.dtype.name} {x.shape}."
        )
    x = x if logits_time_major else transpose(x, (1, 0, 2))
    classes = x.shape[2]
    if isinstance(labels, SparseTensor):
        if blank_index is None:
            raise ValueError("blank_index must be given when using SparseTensor labels.")
        labels, label_length = rows_of(labels)
    blank = (blank_index or 0) + (classes if (blank_index or 0) < 0 else 0)
    if not 0 <= blank < classes:
        raise InvalidArgumentError(f"ctc_loss: blank_index must be one of {classes} classes, received {blank_index}.")
    targets = [cast(part, "int32") for part in (labels, label_length, logit_length)]
    expected = [(x.shape[1], targets[0].shape[-1] if targets[0].ndim else 0), (x.shape[1],), (x.shape[1],)]
    if [tuple(part.shape) for part in targets] != expected or not x.shape[0]:
        raise InvalidArgumentError(
            f"ctc_loss: for logits {x.shape} of at least one step expected labels, label_length and logit_length of "
            f"shapes ({x.shape[1]}, labels), ({x.shape[1]},), ({x.shape[1]},); received "
            f"{[tuple(part.shape) for part in targets]}."
        )
    return _ctc(log_softmax(x), *targets, blank=blank)[0]


def rows_of(labels: SparseTensor) -> tuple[Tensor, Tensor]:
    """The rows of a sparse matrix as a dense one, and how many values each has."""
    rows = labels.indices.numpy()[:, 0]
    counts = np.bincount(rows, minlength=labels.shape[0]).astype(np.int32)
    return to_dense(labels), to_tensor(counts)
