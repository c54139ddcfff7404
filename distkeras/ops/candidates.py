"""Classes drawn at random, and the losses over many classes that look at drawn ones only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.random_state import new_stream, step_state
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import integer, op
from distkeras.ops.creation import ones, zeros
from distkeras.ops.elementwise import cast, equal, expm1, log, log1p, negative, stop_gradient, where
from distkeras.ops.indexing import gather
from distkeras.ops.joining import concat
from distkeras.ops.linalg import matmul
from distkeras.ops.reduction import reduce_any, reduce_sum
from distkeras.ops.shape import broadcast_to, expand_dims, reshape
from distkeras.ops.softmax import sigmoid_cross_entropy_with_logits, softmax_cross_entropy_with_logits

# --- drawing


def _uniform(unit: np.ndarray, range_max: int) -> np.ndarray:
    return np.floor(unit * range_max)


def _log_uniform(unit: np.ndarray, range_max: int) -> np.ndarray:
    """P(class) = log((class + 2) / (class + 1)) / log(range_max + 1)."""
    return np.floor(np.exp(unit * math.log1p(range_max))) - 1


_KINDS = {"uniform": _uniform, "log_uniform": _log_uniform}
_draw = Primitive("draw_candidates")


@_draw.def_shape
def _draw_shape(state: TensorSpec, kind: str, count: int, range_max: int, unique: bool, stream: int) -> tuple:
    return TensorSpec((count,), "int64"), TensorSpec((), "float32")


@_draw.def_kernel
def _draw_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, **params: Any) -> Calls:
    return [(_fill, (inputs[0], *outputs, params))]


def _fill(state: np.ndarray, classes: np.ndarray, tries: np.ndarray, params: dict[str, Any]) -> None:
    """Classes, and how many draws it took to have so many; the same on all ranks."""
    seed = [int(word) & 0xFFFFFFFFFFFFFFFF for word in (*state[:2], params["stream"])]
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    found: list[int] = []
    seen: set[int] = set()
    count, drawn = classes.size, 0
    while len(found) < count:
        unit = generator.random(max(count, 16))
        numbers = np.clip(_KINDS[params["kind"]](unit, params["range_max"]), 0, params["range_max"] - 1)
        for number in numbers.astype(np.int64).tolist():
            if len(found) == count:
                break
            drawn += 1
            if not (params["unique"] and number in seen):
                seen.add(number)
                found.append(number)
    classes[:] = found
    tries[...] = drawn


class Candidates(NamedTuple):
    """Classes drawn, and how often the true ones and these were expected among them."""

    sampled_candidates: Tensor
    true_expected_count: Tensor
    sampled_expected_count: Tensor


def _sampler(
    kind: str, true_classes: Any, num_true: int, num_sampled: int, unique: bool, range_max: int, seed: int | None
) -> Candidates:
    labels = to_tensor(true_classes)
    count, limit = integer(num_sampled, "num_sampled"), integer(range_max, "range_max")
    if labels.ndim != 2 or labels.shape[1] != num_true or not labels.dtype.is_integer:
        raise InvalidArgumentError(
            f"{kind}_candidate_sampler: true_classes must be integers [batch, {num_true}], received "
            f"{labels.dtype.name} {labels.shape}."
        )
    if count < 1 or limit < 1 or (unique and count > limit):
        raise InvalidArgumentError(
            f"{kind}_candidate_sampler: {count} classes cannot be drawn from {limit}"
            f"{' without repeats' if unique else ''}."
        )
    classes, tries = _draw(
        step_state(), kind=kind, count=count, range_max=limit, unique=bool(unique), stream=new_stream(seed)
    )

    def expected(ids: Tensor) -> Tensor:
        if kind == "uniform":
            p = broadcast_to(to_tensor(np.float32(1 / limit)), ids.shape)
        else:
            number = cast(ids, "float32")
            p = log((number + 2.0) / (number + 1.0)) / math.log1p(limit)
        if not unique:
            return p * float(count)
        return where(equal(tries, float(count)), p * float(count), negative(expm1(tries * log1p(negative(p)))))

    return Candidates(classes, *map(stop_gradient, (expected(labels), expected(classes))))


@op
def uniform_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, range_max: int, seed: int | None = None,
    name: str | None = None,
) -> Candidates:  # fmt: skip
    """Classes of [0, range_max), each as likely as any other.

    Args:
        true_classes: [batch, num_true] integers.
        num_true: How many true classes a sample has.
        num_sampled: How many classes to draw, for the whole batch.
        unique: Whether no class is drawn twice.
        range_max: How many classes there are.
        seed: Of the draws.

    Returns:
        Classes drawn, int64 [num_sampled], and how often the true ones, [batch, num_true], and those drawn,
        [num_sampled], were expected.
    """
    return _sampler("uniform", true_classes, num_true, num_sampled, unique, range_max, seed)


@op
def log_uniform_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, range_max: int, seed: int | None = None,
    name: str | None = None,
) -> Candidates:  # fmt: skip
    """As `uniform_candidate_sampler`, for classes in the order of how often they come, as words by frequency.

    P(class) = log((class + 2) / (class + 1)) / log(range_max + 1): about Zipf's law.
    """
    return _sampler("log_uniform", true_classes, num_true, num_sampled, unique, range_max, seed)


# --- losses


def _sampled_logits(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int,
    sampled_values: Any,
    remove_accidental_hits: bool,
    seed: int | None,
) -> tuple[Tensor, Tensor]:
    """Logits of the true classes and of drawn ones, less the log of how often they are drawn, and their targets."""
    inputs, labels = to_tensor(inputs), cast(labels, "int64")
    if inputs.ndim != 2 or tuple(labels.shape) != (inputs.shape[0], num_true):
        raise InvalidArgumentError(
            f"Expected inputs [batch, dim] and labels [batch, num_true = {num_true}], received {inputs.shape} and "
            f"{labels.shape}: labels of one class are tf.expand_dims(labels, 1)."
        )
    table = concat(list(weights), 0) if isinstance(weights, (list, tuple)) else weights
    if sampled_values is None:
        sampled_values = log_uniform_candidate_sampler(labels, num_true, num_sampled, True, num_classes, seed)
    drawn, *expected = map(stop_gradient, map(to_tensor, sampled_values))
    drawn = cast(drawn, "int64")
    batch, dim = inputs.shape
    flat = reshape(labels, (-1,))
    all_ids = concat([flat, drawn], 0)  # gathered once: one IndexedSlices
    rows, offsets = gather(table, all_ids), gather(biases, all_ids)
    true = reduce_sum(expand_dims(inputs, 1) * reshape(rows[: flat.shape[0]], (batch, num_true, dim)), -1)
    true = true + reshape(offsets[: flat.shape[0]], (batch, num_true)) - log(expected[0])
    others = matmul(inputs, rows[flat.shape[0] :], transpose_b=True) + offsets[flat.shape[0] :]
    if remove_accidental_hits:
        hits = reduce_any(equal(expand_dims(labels, 2), reshape(drawn, (1, 1, -1))), axis=1)
        others = where(hits, to_tensor(np.array(np.finfo(others.dtype.numpy).min), like=others), others)
    others = others - log(expected[1])
    targets = concat([ones(true.shape, true.dtype) / float(num_true), zeros(others.shape, true.dtype)], 1)
    return concat([true, others], 1), targets


@op
def nce_loss(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int = 1,
    sampled_values: Any = None,
    remove_accidental_hits: bool = False,
    name: str = "nce_loss",
) -> Tensor:
    """Noise-contrastive estimation: for each sample, whether classes are the true ones or were drawn.

    Args:
        weights: [num_classes, dim], or a list of tensors that make it, one after the other.
        biases: [num_classes].
        labels: [batch, num_true] true classes.
        inputs: [batch, dim].
        num_sampled: How many classes to draw for a batch.
        num_classes: How many there are, in the order of how often they come.
        num_true: How many true classes a sample has.
        sampled_values: What a candidate sampler gave; `log_uniform_candidate_sampler` by default.
        remove_accidental_hits: Whether drawn classes that are true ones are left out.

    Returns:
        [batch] losses.

    Source: Gutmann and Hyvärinen 2010, "Noise-contrastive estimation: A new estimation principle for unnormalized
        statistical models".
    """
    logits, targets = _sampled_logits(
        weights,
        biases,
        labels,
        inputs,
        num_sampled,
        num_classes,
        num_true,
        sampled_values,
        remove_accidental_hits,
        None,
    )
    return reduce_sum(sigmoid_cross_entropy_with_logits(targets, logits), -1)


@op
def sampled_softmax_loss(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int = 1,
    sampled_values: Any = None,
    remove_accidental_hits: bool = True,
    seed: int | None = None,
    name: str = "sampled_softmax_loss",
) -> Tensor:
    """Cross-entropy of a softmax over the true classes and drawn ones; for training only. Arguments as for `nce_loss`.

    Args:
        seed: Of the draws.

    Source: Jean et al. 2015, "On Using Very Large Target Vocabulary for Neural Machine Translation".
    """
    logits, targets = _sampled_logits(
        weights,
        biases,
        labels,
        inputs,
        num_sampled,
        num_classes,
        num_true,
        sampled_values,
        remove_accidental_hits,
        seed,
    )
    return softmax_cross_entropy_with_logits(stop_gradient(targets), logits)
