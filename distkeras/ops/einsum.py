"""Einstein summation, as transposes, one product of matrices and sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import op, operands
from distkeras.ops.linalg import matmul
from distkeras.ops.matrices import diag_part
from distkeras.ops.reduction import reduce_sum
from distkeras.ops.shape import broadcast_to, reshape, transpose

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@op
def einsum(equation: str, *inputs: Any, **kwargs: Any) -> Tensor:
    """Sums of products over named dimensions.

    Args:
        equation: As 'ij,jk->ik': letters name the dimensions of each input, those after '->' stay, the others are
            summed over; '...' stands for any number of leading dimensions, broadcast. Without '->' the letters that
            occur once stay, in alphabetical order.
        inputs: One tensor for each part; two at a time are multiplied, from the left.
        kwargs: `name`.

    Raises:
        InvalidArgumentError: The letters do not fit the tensors.

    >>> import distkeras as tf
    >>> x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    >>> tf.einsum("ij,ij->i", x, x).numpy().tolist()
    [5.0, 25.0]
    """
    if unknown := set(kwargs) - {"name"}:
        raise TypeError(f"einsum() got unexpected keyword arguments: {sorted(unknown)}; the only one is `name`.")
    if not isinstance(equation, str):
        raise TypeError(f"einsum: the equation must be a text such as 'ij,jk->ik', received {equation!r}.")
    terms, output, tensors = _parse(equation, inputs)
    sized = [_without_repeats(term, tensor) for term, tensor in zip(terms, tensors, strict=True)]
    while len(sized) > 1:
        (left, a), (right, b), *others = sized
        wanted = set(output).union(*(term for term, _ in others))
        sized = [_product(left, a, right, b, wanted), *others]
    ((term, tensor),) = sized
    term, tensor = _sum_out(term, tensor, set(output))
    if set(term) != set(output):
        raise InvalidArgumentError(f"einsum: {sorted(set(output) - set(term))} of the output {output!r} has no size.")
    return transpose(tensor, [term.index(letter) for letter in output])


def _parse(equation: str, inputs: tuple) -> tuple[list[str], str, list[Tensor]]:
    """The letters of each input and of the output; ellipses are spelled out with letters of their own."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(inputs):
        raise InvalidArgumentError(f"einsum: {equation!r} is for {len(terms)} tensors, {len(inputs)} were given.")
    first = to_tensor(inputs[0])
    tensors = [first, *(operands(first, other)[1] for other in inputs[1:])]
    free = [letter for letter in _LETTERS if letter not in equation]
    extra = max(
        (t.ndim - len(term.replace("...", "")) for t, term in zip(tensors, terms, strict=True) if "..." in term),
        default=0,
    )
    lead = "".join(free[: max(extra, 0)])
    spelled = []
    for term, tensor in zip(terms, tensors, strict=True):
        count = tensor.ndim - len(term.replace("...", ""))
        spelled.append(term.replace("...", lead[len(lead) - count :] if count > 0 else ""))
        if len(spelled[-1]) != tensor.ndim or not set(spelled[-1]) <= set(_LETTERS):
            raise InvalidArgumentError(f"einsum: {term!r} of {equation!r} does not fit the shape {tensor.shape}.")
    if not arrow:
        counts = "".join(terms).replace("...", "")
        right = ("..." if lead else "") + "".join(sorted(c for c in set(counts) if counts.count(c) == 1))
    output = right.replace("...", lead)
    if len(set(output)) != len(output):
        raise InvalidArgumentError(f"einsum: a letter occurs twice in the output of {equation!r}.")
    return spelled, output, tensors


def _without_repeats(term: str, tensor: Tensor) -> tuple[str, Tensor]:
    """A letter that names two dimensions of one tensor takes their diagonal."""
    repeated = next((letter for letter in term if term.count(letter) > 1), None)
    if repeated is None:
        return term, tensor
    first = term.index(repeated)
    second = term.index(repeated, first + 1)
    if tensor.shape[first] != tensor.shape[second]:
        raise InvalidArgumentError(f"einsum: {repeated!r} has sizes {tensor.shape[first]} and {tensor.shape[second]}.")
    order = [i for i in range(tensor.ndim) if i not in (first, second)]
    rest = "".join(term[i] for i in order)
    return _without_repeats(rest + repeated, diag_part(transpose(tensor, [*order, first, second])))


def _sum_out(term: str, tensor: Tensor, wanted: set[str]) -> tuple[str, Tensor]:
    axes = [i for i, letter in enumerate(term) if letter not in wanted]
    return "".join(letter for letter in term if letter in wanted), reduce_sum(tensor, axes) if axes else tensor


def _product(left: str, a: Tensor, right: str, b: Tensor, wanted: set[str]) -> tuple[str, Tensor]:
    """One batched matrix product: letters are in both and stay, in both and are summed, or in one."""
    left, a = _sum_out(left, a, wanted | set(right))
    right, b = _sum_out(right, b, wanted | set(left))
    sizes = _sizes(left, a, right, b)
    batch = [c for c in left if c in right and c in wanted]
    inner = [c for c in left if c in right and c not in wanted]
    rows = [c for c in left if c not in right]
    columns = [c for c in right if c not in left]

    def arranged(term: str, tensor: Tensor, groups: tuple[list[str], ...]) -> Tensor:
        tensor = transpose(tensor, [term.index(c) for group in groups for c in group])
        tensor = broadcast_to(tensor, [sizes[c] for group in groups for c in group])
        merged = [int(np.prod([sizes[c] for c in group], dtype=np.int64)) for group in groups[-2:]]
        return reshape(tensor, [*(sizes[c] for c in batch), *merged])

    product = matmul(arranged(left, a, (batch, rows, inner)), arranged(right, b, (batch, inner, columns)))
    letters = [*batch, *rows, *columns]
    return "".join(letters), reshape(product, [sizes[c] for c in letters])


def _sizes(left: str, a: Tensor, right: str, b: Tensor) -> dict[str, int]:
    """The size of each letter; a size of 1 is broadcast."""
    sizes: dict[str, int] = {}
    for letter, size in [*zip(left, a.shape, strict=True), *zip(right, b.shape, strict=True)]:
        known = sizes.setdefault(letter, size)
        if known != size and 1 not in (known, size):
            raise InvalidArgumentError(f"einsum: {letter!r} has sizes {known} and {size}.")
        sizes[letter] = size if known == 1 else known
    return sizes
