"""Random tensors and dropout. All draws are counter-based: see `core.random_state`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.random_state import new_stream, step_state
from distkeras.core.rows import all_rows, each_row
from distkeras.core.spec import TensorSpec, as_dtype
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.kernels import rng
from distkeras.ops._op import op, sizes_of
from distkeras.ops.creation import ones, zeros
from distkeras.ops.elementwise import cast, floor, log
from distkeras.ops.indexing import gather
from distkeras.ops.joining import concat
from distkeras.ops.reduction import argmax
from distkeras.ops.shape import broadcast_to, expand_dims

# --- dropout

_dropout = Primitive("dropout")
_dropout_gradient = Primitive("dropout_gradient")


def _samples(array: np.ndarray) -> np.ndarray:
    """[samples, elements]; a scalar is one sample of one element."""
    rows = array.shape[0] if array.ndim else 1
    return array.reshape(rows, int(np.prod(array.shape[1:], dtype=np.int64)))


_dropout.def_shape(lambda x, state, rate, stream: (x, TensorSpec(x.shape, "uint8")))
_dropout_gradient.def_shape(lambda g, mask, rate: g)
_dropout.def_vjp(
    lambda gradients, inputs, outputs, rate, stream: (
        lambda: _dropout_gradient(gradients[0], outputs[1], rate=rate),
        None,
    )
)
_dropout_gradient.def_vjp(
    lambda gradients, inputs, outputs, rate: (lambda: _dropout_gradient(gradients[0], inputs[1], rate=rate), None)
)

_dropout.def_cut(each_row(0, state=1))
_dropout_gradient.def_cut(all_rows)


@_dropout.def_kernel
def _dropout_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, rate: float, stream: int) -> Calls:
    x, state = inputs
    return rng.dropout(_samples(x), state, *map(_samples, outputs), rate=rate, stream=stream, scratch=scratch)


@_dropout_gradient.def_kernel
def _dropout_gradient_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, rate: float) -> Calls:
    return rng.dropout_gradient(*map(_samples, inputs), _samples(outputs[0]), rate=rate)


@op
def dropout(
    x: Any,
    rate: float,
    noise_shape: Any = None,
    seed: int | None = None,
    stream: int | None = None,
    name: str | None = None,
) -> Tensor:
    """x with a fraction `rate` of its elements set to zero and the others scaled by 1 / (1 - rate).

    Which elements are dropped is a function of (seed, stream, step, sample, element): it does not depend on how a batch
    is divided over ranks.

    Args:
        x: [samples, ...].
        rate: In [0, 1).
        noise_shape: Dimensions of size 1 are dropped as a whole; the first must be x's.
        stream: Identifies the layer; a new one by default, or that of `seed`.

    Source: Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting".
    """
    x = to_tensor(x)
    if not 0 <= rate < 1:
        raise ValueError(f"rate must be a number in the range [0, 1), received {rate!r}.")
    if not x.dtype.is_floating:
        raise InvalidArgumentError(f"dropout: expected floating-point numbers, received dtype {x.dtype.name}.")
    if rate == 0:
        return x
    stream = new_stream(seed) if stream is None else int(stream)
    if noise_shape is None:
        return _dropout(x, step_state(), rate=float(rate), stream=stream)[0]
    if len(noise_shape) != x.ndim or (x.ndim and noise_shape[0] not in (None, -1, x.shape[0])):
        raise ValueError(
            f"dropout: noise_shape must have {x.ndim} sizes, the first one {x.shape[:1]} or None (a mask belongs to "
            f"its sample), received {noise_shape!r}."
        )
    sizes = [size if wanted in (None, -1) else int(wanted) for wanted, size in zip(noise_shape, x.shape, strict=True)]

    return x * _dropout(ones(sizes, x.dtype), step_state(), rate=float(rate), stream=stream)[0]


# --- draws

_DRAWS = {"uniform": rng.uniform, "normal": rng.normal, "truncated_normal": rng.truncated_normal}
_draw = Primitive("random")
_draw.def_shape(lambda state, kind, shape, dtype, stream: TensorSpec(shape, dtype))


@_draw.def_kernel
def _draw_kernel(
    inputs: Sequence, outputs: Sequence, scratch: Any, *, kind: str, shape: tuple, dtype: str, stream: int
) -> Calls:
    return _DRAWS[kind](inputs[0], _samples(outputs[0]), stream=stream, scratch=scratch)


def _random(kind: str, shape: Any, dtype: Any, seed: int | None, stream: int | None) -> Tensor:
    dtype = as_dtype(dtype)
    if dtype.name not in ("float32", "float64"):
        raise ValueError(f"random numbers are float32 or float64, received dtype {dtype.name}: cast the result.")
    stream = new_stream(seed) if stream is None else int(stream)
    return _draw(step_state(), kind=kind, shape=sizes_of(shape), dtype=dtype.name, stream=stream)


@op
def random_uniform(
    shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = "float32", seed: int | None = None,
    name: str | None = None, stream: int | None = None,
) -> Tensor:  # fmt: skip
    """Numbers uniform over [minval, maxval); integers if dtype is an integer type.

    Inside a training step the rows belong to the samples of the batch, so that ranks draw what one process would.
    """
    dtype = as_dtype(dtype)
    if dtype.is_integer:
        if maxval is None:
            raise ValueError("Must specify maxval for integer dtype.")
        span = float(maxval - minval)
        if span <= 0:
            raise InvalidArgumentError(f"Need minval < maxval, got {minval} >= {maxval}.")
        unit = _random("uniform", shape, "float64", seed, stream)
        return cast(floor(unit * span), dtype) + minval
    unit = _random("uniform", shape, dtype, seed, stream)
    return unit * ((1 if maxval is None else maxval) - minval) + minval


def random_scalar(low: float, high: float, seed: int | None, for_batch: bool) -> Tensor:
    """One float32 from [low, high): for a whole batch, the same on all ranks; else that of the first sample."""
    where_first = to_tensor(np.array([1, 1, 0 if for_batch else 1]))
    stream = new_stream(seed)
    unit = _draw(step_state() * where_first, kind="uniform", shape=(), dtype="float32", stream=stream)
    return unit * (high - low) + low


@op
def random_normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32", seed: int | None = None,
    name: str | None = None, stream: int | None = None,
) -> Tensor:  # fmt: skip
    """Normal numbers with the given mean and standard deviation."""
    return _random("normal", shape, dtype, seed, stream) * stddev + mean


@op
def truncated_normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32", seed: int | None = None,
    name: str | None = None, stream: int | None = None,
) -> Tensor:  # fmt: skip
    """Normal numbers, drawn again where they are more than two standard deviations from the mean."""
    return _random("truncated_normal", shape, dtype, seed, stream) * stddev + mean


_permutation = Primitive("random_permutation")
_permutation.def_shape(lambda state, size, stream: TensorSpec((size,), "int64"))


@_permutation.def_kernel
def _permutation_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, size: int, stream: int) -> Calls:
    return [(_permute, (inputs[0], stream, outputs[0]))]


def _permute(state: np.ndarray, stream: int, out: np.ndarray) -> None:
    seed = [int(word) & 0xFFFFFFFFFFFFFFFF for word in (*state[:2], stream)]
    out[:] = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed))).permutation(out.size)


@op
def random_shuffle(value: Any, seed: int | None = None, name: str | None = None) -> Tensor:
    """The rows of `value` in another order."""
    tensor = to_tensor(value)
    if not tensor.ndim:
        raise InvalidArgumentError("A scalar has no rows to shuffle.")
    return gather(tensor, _permutation(step_state(), size=tensor.shape[0], stream=new_stream(seed)))


# --- draws with parameters: row by row, each by a generator of its own, so that a sample's numbers are its own


def _gamma_rows(generator: np.random.Generator, parameters: np.ndarray) -> np.ndarray:
    return generator.standard_gamma(parameters)


def _poisson_rows(generator: np.random.Generator, parameters: np.ndarray) -> np.ndarray:
    return generator.poisson(parameters)


_ROW_DRAWS = {"gamma": _gamma_rows, "poisson": _poisson_rows}


def _draw_rows(parameters: np.ndarray, state: np.ndarray, kind: str, stream: int) -> np.ndarray:
    out = np.empty_like(parameters)
    for row, values in enumerate(np.atleast_1d(parameters)):
        key = [int(word) & 0xFFFFFFFFFFFFFFFF for word in (*state[:2], stream, state[2] + row)]
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
        np.atleast_1d(out)[row] = _ROW_DRAWS[kind](generator, values)
    return out


_parametric = Primitive("random_parametric", numpy=_draw_rows)
_parametric.def_shape(lambda parameters, state, kind, stream: parameters)


def _parametric_draw(kind: str, shape: Any, parameter: Any, dtype: Any, seed: int | None) -> Tensor:
    """`shape` draws for each parameter: [*shape, *parameter.shape]."""
    parameter = cast(parameter, "float64" if as_dtype(dtype).name == "float64" else "float32")
    spread = broadcast_to(parameter, (*sizes_of(shape), *parameter.shape))
    return cast(_parametric(spread, step_state(), kind=kind, stream=new_stream(seed)), dtype)


@op
def random_gamma(
    shape: Any, alpha: Any, beta: Any = None, dtype: Any = "float32", seed: int | None = None, name: str | None = None
) -> Tensor:
    """Gamma-distributed numbers for each shape parameter `alpha` and rate `beta`: [*shape, *alpha.shape].

    They are constants to differentiation for `alpha`, where TensorFlow differentiates them.
    """
    if beta is None:
        return _parametric_draw("gamma", shape, alpha, dtype, seed)
    alpha, beta = cast(alpha, dtype), cast(beta, dtype)
    return _parametric_draw("gamma", shape, alpha + beta * 0, dtype, seed) / beta


@op
def random_poisson(
    shape: Any, lam: Any, dtype: Any = "float32", seed: int | None = None, name: str | None = None
) -> Tensor:
    """Poisson-distributed numbers for each mean `lam`: [*shape, *lam.shape]."""
    return _parametric_draw("poisson", shape, lam, dtype, seed)


@op
def random_categorical(
    logits: Any, num_samples: int, dtype: Any = None, seed: int | None = None, name: str | None = None
) -> Tensor:
    """[batch, num_samples] classes, drawn with the probabilities softmax(logits).

    Source: the Gumbel-max trick, Maddison, Tarlow and Minka 2014, "A* Sampling".
    """
    logits = to_tensor(logits)
    if logits.ndim != 2 or not logits.dtype.is_floating:
        raise InvalidArgumentError(f"categorical: logits must be floats [batch, classes], received {logits.spec}.")
    shape = (logits.shape[0], int(num_samples), logits.shape[1])
    kind = logits.dtype if logits.dtype.name in ("float32", "float64") else as_dtype("float32")
    return _most_likely(logits, _random("uniform", shape, kind, seed, None), dtype)


def _most_likely(logits: Tensor, uniform: Tensor, dtype: Any) -> Tensor:
    noise = -log(-log(uniform))
    return argmax(expand_dims(cast(logits, noise.dtype), 1) + noise, -1, as_dtype(dtype or "int64"))


# --- stateless: functions of a seed alone

_STATELESS = 0  # the stream


def _seeded(kind: str, shape: Any, seed: Any, dtype: Any) -> Tensor:
    words = cast(seed, "int64")
    if tuple(words.shape) != (2,):
        raise InvalidArgumentError(f"stateless: seed must be two integers, received shape {words.shape}.")
    dtype = as_dtype(dtype)
    if dtype.name not in ("float32", "float64"):
        raise ValueError(f"random numbers are float32 or float64, received dtype {dtype.name}: cast the result.")
    state = concat([words, zeros((1,), "int64")], 0)
    return _draw(state, kind=kind, shape=sizes_of(shape), dtype=dtype.name, stream=_STATELESS)


@op
def stateless_uniform(
    shape: Any, seed: Any, minval: Any = 0, maxval: Any = None, dtype: Any = "float32", name: str | None = None
) -> Tensor:
    """Numbers uniform over [minval, maxval), the same whenever the two integers of `seed` are."""
    dtype = as_dtype(dtype)
    if dtype.is_integer:
        if maxval is None:
            raise ValueError("Must specify maxval for integer dtype.")
        return cast(floor(_seeded("uniform", shape, seed, "float64") * float(maxval - minval)), dtype) + minval
    return _seeded("uniform", shape, seed, dtype) * ((1 if maxval is None else maxval) - minval) + minval


@op
def stateless_normal(
    shape: Any, seed: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32", name: str | None = None
) -> Tensor:
    """Normal numbers, the same whenever the two integers of `seed` are."""
    return _seeded("normal", shape, seed, dtype) * stddev + mean


@op
def stateless_truncated_normal(
    shape: Any, seed: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32", name: str | None = None
) -> Tensor:
    """Normal numbers within two standard deviations, the same whenever the two integers of `seed` are."""
    return _seeded("truncated_normal", shape, seed, dtype) * stddev + mean


@op
def stateless_categorical(
    logits: Any, num_samples: int, seed: Any, dtype: Any = "int64", name: str | None = None
) -> Tensor:
    """[batch, num_samples] classes, the same whenever the two integers of `seed` are."""
    logits = to_tensor(logits)
    shape = (logits.shape[0], int(num_samples), logits.shape[1])
    return _most_likely(logits, _seeded("uniform", shape, seed, logits.dtype), dtype)
