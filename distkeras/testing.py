"""Tools for testing models, and distkeras itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distkeras import _nest, _settings
from distkeras.core.spec import TensorShape
from distkeras.core.tape import GradientTape
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.distribute import environment, launcher
from distkeras.graph.function import Function


@dataclass(frozen=True)
class RanksResult:
    """How a program run by `run_ranks` ended: exit code, what it wrote, and how many seconds it took."""

    returncode: int
    stdout: str
    stderr: str
    seconds: float

    def check(self) -> RanksResult:
        """This result if the exit code is 0; AssertionError with all output otherwise."""
        if self.returncode != 0:
            raise AssertionError(f"exit code {self.returncode}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}")
        return self


def run_ranks(
    ranks: int,
    program: str | os.PathLike[str],
    *arguments: object,
    timeout: float = 60.0,
    variables: Mapping[str, str] | None = None,
) -> RanksResult:
    """Run a Python program as several ranks, as `distkeras run` would, with one thread each and this distkeras.

    Args:
        ranks: Number of ranks; 1 runs the program without MPI.
        program: Path of a script, or source text (anything with a line break), or `-m` with the module's name as first
            argument.
        arguments: The program's arguments.
        timeout: Seconds after which the ranks are ended and TimeoutError is raised.
        variables: Environment variables to set.

    Returns:
        Exit code and output, whatever the exit code: see `RanksResult.check`.

    Raises:
        TimeoutError: With what the ranks wrote until then.

    >>> run_ranks(1, "import sys\\nprint(sys.argv[1])", "hello").check().stdout
    'hello\\n'
    """
    given = {**environment.without_launcher(), **(variables or {})}
    given["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), given.get("PYTHONPATH", "")]).rstrip(
        os.pathsep
    )
    settings = _settings.resolve({"ranks": ranks, "threads": 1}, given)
    with tempfile.TemporaryDirectory(prefix="distkeras-test-") as folder:
        source = os.fspath(program)
        if "\n" in source:
            source = str(Path(folder, "program.py"))
            Path(source).write_text(os.fspath(program))
        plan = launcher.plan([source, *map(str, arguments)], settings, given)
        return _run(plan.command, {**given, **plan.variables, launcher.RUN_DIRECTORY: folder}, timeout)


def _run(command: list[str], variables: dict[str, str], timeout: float) -> RanksResult:
    begun = time.monotonic()
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with launcher.started(command, env=variables, start_new_session=True, **options) as process:
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            stdout, stderr = _end(process)
            raise TimeoutError(
                f"no end after {timeout:g} s: {' '.join(command)}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
            ) from None
        return RanksResult(process.returncode, stdout, stderr, time.monotonic() - begun)


def _end(process: subprocess.Popen) -> tuple[str, str]:
    # mpirun ends its ranks when asked to; killing it outright would leave them running.
    process.terminate()
    try:
        return process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()


# --- derivatives


def check_grads(
    function: Callable[..., Any],
    *args: Any,
    order: int = 2,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    eps: float = 1e-4,
) -> None:
    """Check a function's derivatives against differences of its values, along one random direction, in float64.

    The derivative of <u, f(x)> along v, u and v being random, is <gradient, v> in reverse mode; (f(x + eps v) -
    f(x - eps v)) / 2 eps, projected on u, has to agree. For the next order the same is asked of the gradient.

    Args:
        function: Takes tensors, gives a tensor or a structure of them; of these only floating-point ones count.
        args: Arrays or numbers. Floating-point ones become float64 and are varied; others are passed as they are.
        order: How many times the function is differentiated.
        rtol, atol: The tolerance of the comparison.
        eps: The step. Values must be further than about 3 eps from where the function has a kink.

    Raises:
        AssertionError: A derivative is wrong; the message tells its order, and both numbers.

    >>> import distkeras as tf
    >>> check_grads(lambda x: x * tf.exp(x), [0.5, -1.0])
    """
    tensors = [_widened(to_tensor(arg)) for arg in args]
    _check_order(function, tensors, np.random.default_rng(20), 1, order, (rtol, atol, eps))


def _widened(tensor: Tensor) -> Tensor:
    return Tensor(tensor.numpy().astype(np.float64)) if tensor.dtype.is_floating else tensor


def _check_order(
    function: Callable, tensors: list[Tensor], rng: np.random.Generator, now: int, last: int, how: tuple
) -> None:
    rtol, atol, eps = how
    outputs = _floating(function(*tensors))
    weights = [rng.standard_normal(tensor.shape) for tensor in outputs]
    steps = [rng.standard_normal(tensor.shape) if tensor.dtype.is_floating else 0 for tensor in tensors]

    def gradients(*values: Tensor) -> list[Tensor]:
        return _pulled_back(function, values, weights)

    def projected(sign: float) -> float:
        moved = [
            Tensor(np.asarray(tensor.numpy() + sign * eps * step)) if tensor.dtype.is_floating else tensor
            for tensor, step in zip(tensors, steps, strict=True)
        ]
        return _dot(weights, _floating(function(*moved)))

    varied = [step for tensor, step in zip(tensors, steps, strict=True) if tensor.dtype.is_floating]
    reverse = _dot(varied, gradients(*tensors))
    difference = (projected(1.0) - projected(-1.0)) / (2 * eps)
    np.testing.assert_allclose(
        reverse, difference, rtol, atol, err_msg=f"derivative of order {now}: reverse mode against differences"
    )
    if now < last:
        _check_order(gradients, tensors, rng, now + 1, last, how)


def _pulled_back(function: Callable, values: Sequence[Tensor], weights: list[np.ndarray]) -> list[Tensor]:
    """The gradient of <weights, function(values)> for each floating-point value; zeros where there is none."""
    sources = [value for value in values if value.dtype.is_floating]
    with GradientTape() as tape:
        tape.watch(sources)
        targets = _floating(function(*values))
    cotangents = [to_tensor(weight, tensor.dtype) for weight, tensor in zip(weights, targets, strict=True)]
    return tape.gradient(targets, sources, cotangents, unconnected_gradients="zero")


def _floating(outputs: Any) -> list[Tensor]:
    return [tensor for tensor in map(to_tensor, _nest.flatten(outputs)) if tensor.dtype.is_floating]


def _dot(arrays: list, tensors: list[Tensor]) -> float:
    return float(sum(np.sum(array * tensor.numpy()) for array, tensor in zip(arrays, tensors, strict=True)))


# --- eager and compiled


def check_compiled(
    function: Callable[..., Any],
    *args: Any,
    rtol: float | None = None,
    atol: float | None = None,
    batched: Sequence[int] | None = None,
    gradients: bool = True,
) -> None:
    """Check that a function gives the same compiled as step by step, and so do its gradients, for two batch sizes.

    Args:
        function: Takes tensors, gives a tensor or a structure of them.
        args: Arrays, tensors or numbers.
        rtol, atol: The tolerance; by default 1e-5 and 1e-6, for float64 1e-12 and 1e-13.
        batched: Which arguments have the batch as their first dimension, to be cut by one sample for the second batch;
            by default those whose first dimension is as large as that of the first argument.
        gradients: Whether to compare the gradients for floating-point arguments too.

    Raises:
        AssertionError: Results differ in type, shape or value; the message tells which.

    >>> import distkeras as tf
    >>> check_compiled(lambda x, b: tf.nn.relu(x + b), [[1.0, -2.0], [3.0, 4.0]], [1.0, 1.0])
    """
    tensors = [to_tensor(arg) for arg in args]
    both = _with_gradients(function) if gradients else lambda *values: (function(*values), [])
    compiled = Function(both)
    _compare(both, compiled, tensors, rtol, atol)
    if batched is None:
        batched = [i for i, tensor in enumerate(tensors) if tensor.ndim and tensor.shape[:1] == tensors[0].shape[:1]]
    if batched:
        smaller = [Tensor(t.numpy()[:-1].copy()) if i in batched else t for i, t in enumerate(tensors)]
        _compare(both, compiled, smaller, rtol, atol)


def _with_gradients(function: Callable) -> Callable:
    def both(*values: Tensor) -> tuple[Any, list[Tensor]]:
        sources = [value for value in values if value.dtype.is_floating]
        with GradientTape() as tape:
            tape.watch(sources)
            outputs = function(*values)
            targets = _floating(outputs)
        if not sources or not targets:
            return outputs, []
        # Weights that differ from element to element: a gradient of a plain sum is often constant, or zero.
        weights = [
            to_tensor(np.linspace(0.5, 1.5, target.spec.size).reshape(target.shape).astype(target.dtype.numpy))
            for target in targets
        ]
        return outputs, tape.gradient(targets, sources, weights, unconnected_gradients="zero")

    return both


def _compare(
    eager: Callable, compiled: Function, tensors: list[Tensor], rtol: float | None, atol: float | None
) -> None:
    expected, received = eager(*tensors), compiled(*tensors)
    if compiled.runs_eagerly:
        raise AssertionError("The function could not be compiled: see the warning it gave.")
    _nest.assert_same_structure(expected, received)
    for (path, want), got in zip(_nest.flatten_with_paths(expected), _nest.flatten(received), strict=True):
        want, got = to_tensor(want), to_tensor(got)
        place = f"compiled against eager, at result{path}, for {[tuple(tensor.shape) for tensor in tensors]}"
        if (want.dtype, want.shape) != (got.dtype, got.shape):
            raise AssertionError(f"{place}: expected {want.spec}, received {got.spec}")
        wide = want.dtype.name == "float64"
        np.testing.assert_allclose(
            got.numpy(),
            want.numpy(),
            (1e-12 if wide else 1e-5) if rtol is None else rtol,
            (1e-13 if wide else 1e-6) * max(1.0, _largest(want)) if atol is None else atol,
            err_msg=place,
        )


def _largest(tensor: Tensor) -> float:
    """The largest magnitude among the finite elements: sums that cancel are as exact as what they are made of."""
    array = np.abs(tensor.numpy().astype("float64")) if tensor.dtype.is_floating else np.zeros(1)
    return float(np.max(array, where=np.isfinite(array), initial=0.0))


def check_layer(make: Callable[[], Any], *inputs: Any, rtol: float = 2e-5, atol: float = 2e-6) -> None:
    """Check what Keras asks of every layer, on inputs whose first dimension is the batch.

    The layer builds; the shape that it infers for inputs of unknown batch size is that of its output; a copy made from
    its config through JSON, given its weights, computes the same; and it computes the same compiled as step by step,
    gradients included, for two batch sizes.

    Args:
        make: Makes the layer, anew at each call.
        inputs: Arrays; the layer is called on the only one, or on a list of them.
        rtol, atol: How near compiled results must be to those of single steps.

    Raises:
        AssertionError: Something of this does not hold; the message tells what.

    >>> import distkeras as tf
    >>> check_layer(lambda: tf.keras.layers.Dense(3, activation="relu"), [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    """
    tensors = [to_tensor(value) for value in inputs]
    layer = make()
    output = layer(_alone(tensors))
    _check_shapes(layer, tensors, output)
    _check_copy(layer, tensors, output)
    check_compiled(lambda *values: layer(_alone(list(values))), *tensors, rtol=rtol, atol=atol)


def _alone(items: list) -> Any:
    return items[0] if len(items) == 1 else items


def _check_shapes(layer: Any, tensors: list[Tensor], output: Any) -> None:
    inferred = layer.compute_output_shape(_alone([TensorShape((None, *tensor.shape[1:])) for tensor in tensors]))
    real = _nest.map_structure(lambda tensor: tensor.shape, output)
    many = isinstance(output, (list, tuple))
    for shape, expected in zip(*((inferred, real) if many else ([inferred], [real])), strict=True):
        if not TensorShape(shape).is_compatible_with(expected):
            raise AssertionError(f"{layer.name}: compute_output_shape gives {shape}, the output has {expected}.")


def _check_copy(layer: Any, tensors: list[Tensor], output: Any) -> None:
    from distkeras.keras.saving.serialize import json_value

    config = json.loads(json.dumps(layer.get_config(), default=json_value))
    try:
        copy = type(layer).from_config(config)
    except Exception as error:
        raise AssertionError(
            f"{layer.name}: {type(layer).__name__}.from_config(get_config()) fails with {error!r}; the config, "
            f"{config}, must hold the arguments of the constructor."
        ) from error
    copy(_alone(tensors))
    copy.set_weights(layer.get_weights())
    for got, want in zip(_nest.flatten(copy(_alone(tensors))), _nest.flatten(output), strict=True):
        np.testing.assert_array_equal(got.numpy(), want.numpy(), f"{layer.name}: a copy made from its config differs")
