"""What an optimizer is: hyper-parameters, slots, and a kernel that runs over arenas."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from distkeras._errors import CaptureError
from distkeras._registry import Registry
from distkeras.core import context
from distkeras.core.host import HostCall, host_call
from distkeras.core.indexed_slices import IndexedSlices, dense
from distkeras.core.tape import GradientTape
from distkeras.core.variable import Variable, make_plans_anew
from distkeras.distribute.strategies import get_strategy
from distkeras.keras.mixed_precision.loss_scale import LossScale
from distkeras.keras.optimizers import clipping
from distkeras.keras.optimizers.accumulation import Accumulation, checked_steps
from distkeras.keras.optimizers.apply import (
    GroupUpdate,
    as_pairs,
    call_inputs,
    settle_sharing,
    update_call,
    with_gradients,
)
from distkeras.keras.optimizers.arena import ParameterGroup
from distkeras.keras.optimizers.by_variable import ByVariable
from distkeras.keras.optimizers.hyper import Choice, Hyper, check_options, config_value, current_value
from distkeras.keras.optimizers.schedules import deserialize as deserialize_schedule
from distkeras.keras.optimizers.sparse import SlicesUpdate
from distkeras.keras.optimizers.state import State
from distkeras.kernels.compile import Kernel

OPTIMIZERS = Registry("optimizer")

_MOST_CALLS = 64
# What later Keras versions write beside TensorFlow 2.0's settings, where it says that nothing more is wanted.
_LATER_SETTINGS: dict[str, tuple] = {
    "clipnorm": (None,),
    "clipvalue": (None,),
    "global_clipnorm": (None,),
    "weight_decay": (None, 0.0),
    "use_ema": (False,),
    "ema_momentum": (0.99,),
    "ema_overwrite_frequency": (None,),
    "loss_scale_factor": (None,),
    "gradient_accumulation_steps": (None,),
    "is_legacy_optimizer": (True, False),
    "jit_compile": (True, False),
}


class Optimizer(ByVariable, State):
    """Base of optimizers. A subclass names its slots and, in `update`, runs a kernel over a range of an arena.

    Or it defines `_create_slots` and `_resource_apply_dense` in tensor operations, as in TensorFlow 2.0: see
    `ByVariable`.

    Args:
        name: Comes before the names of the optimizer's variables.
        **kwargs: `clipnorm` (each gradient is scaled down to at most this norm), `global_clipnorm` (all are, together),
            `clipvalue` (elements are cut off at +-clipvalue), `decay` (the learning rate is divided by
            1 + decay * steps), `lr` (another name of learning_rate), `gradient_accumulation_steps` (variables are
            updated once in so many calls, by the mean of their gradients; `iterations` counts the updates, schedules
            and `decay` go by the calls, as in Keras 3).

    Raises:
        TypeError: There is another keyword argument.
        ValueError: One of them is negative, `gradient_accumulation_steps` less than 2, or both norms are to be clipped.

    >>> import distkeras as tf
    >>> optimizer = tf.keras.optimizers.SGD(learning_rate=0.5)
    >>> x = tf.Variable(2.0)
    >>> _ = optimizer.minimize(lambda: x * x, [x])
    >>> float(x)
    0.0
    """

    learning_rate = Hyper(low=0.0)
    decay = Hyper(low=0.0)
    clipnorm, clipvalue, global_clipnorm = Choice(), Choice(), Choice()
    # Asked, where a LossScaleOptimizer applies gradients, whether these are to be applied.
    loss_scale: LossScale | None = None

    def __init__(self, name: str, **kwargs: Any) -> None:
        check_options(kwargs)
        self.name = name
        self._calls: dict[tuple, tuple[HostCall, dict[Variable, SlicesUpdate]]] = {}
        self._hyper: dict[str, Any] = {}
        self.decay = kwargs.get("decay", 0.0)
        self.clipnorm = kwargs.get("clipnorm")
        self.global_clipnorm = kwargs.get("global_clipnorm")
        self.clipvalue = kwargs.get("clipvalue")
        steps = checked_steps(kwargs.get("gradient_accumulation_steps"))
        super().__init__(get_strategy(), None if steps is None else Accumulation(steps))

    # --- what subclasses define

    @property
    def slots(self) -> dict[str, float]:
        """The slots' names, in the order that the update kernel takes them, and their first values."""
        return {}

    @property
    def kernel(self) -> Kernel:
        """The rule, element by element: a kernel of parameters, gradients, every slot, and the step's scalars."""
        raise NotImplementedError(f"{type(self).__name__} must define `kernel`, or update(self, group, part).")

    def begin_step(self) -> None:
        """Compute what is the same for all variables of a step; hyper-parameters are read with `value_of`.

        The scalars of `kernel` are left in `_scalars`.
        """

    # A kernel that does the same as `begin_step` and counts the iteration: of the hyper-parameters named in
    # `begin_hypers`, epsilon, iterations, and the scalars to fill.
    begin_kernel: Kernel | None = None
    begin_hypers: tuple[str, ...] = ()

    def update(self, group: ParameterGroup, part: slice) -> None:
        """Run the update over a range of a group's arenas: `group.arrays(part)`.

        Every array element of the range is updated, gaps between variables too: their gradients are zero.
        """
        self.kernel[group.dtype](*group.arrays(part), *map(group.dtype.type, self._scalars))

    # Whether `update` gives the same for any cut of an arena into ranges: whole variables are kept together otherwise.
    updates_elements = False
    # Whether a gradient of some rows leaves the other rows of a variable as they are: see `sparse`.
    updates_rows = False

    def decaying_slots(self) -> dict[str, float]:
        """Where `updates_rows`, the slots that are multiplied in the other rows, and by what."""
        return {}

    def extra_weights(self) -> list[Variable]:
        """State beside iterations and slots."""
        return []

    def forget_calls(self) -> None:
        """Make anew what steps were compiled for: a setting has changed."""
        self._calls.clear()
        make_plans_anew()

    # --- hyper-parameters

    @property
    def lr(self) -> Any:
        """Another name of learning_rate."""
        return self.learning_rate

    @lr.setter
    def lr(self, value: Any) -> None:
        self.learning_rate = value

    def value_of(self, name: str) -> float:
        """A hyper-parameter as it is now."""
        value = self._hyper[name]
        return value._array.item() if type(value) is Variable else current_value(value, self.batches_taken)

    def decayed_learning_rate(self) -> float:
        """The learning rate of the step to come."""
        rate, decay = self.value_of("learning_rate"), self.value_of("decay")
        return rate / (1.0 + decay * self.batches_taken) if decay else rate

    # --- steps

    def minimize(
        self, loss: Any, var_list: Any, grad_loss: Any = None, name: str | None = None, tape: GradientTape | None = None
    ) -> Variable:
        """Differentiate a loss and update the variables.

        Args:
            loss: A function without arguments that gives the loss; or a tensor, with the tape that recorded it.
            var_list: The variables, or a function that gives them.
            grad_loss: A gradient of the loss to begin with instead of 1.
            name: Accepted as TensorFlow does.
            tape: The tape, when the loss is a tensor.

        Returns:
            `iterations`.
        """
        return self.apply_gradients(self._compute_gradients(loss, var_list, grad_loss, tape), name=name)

    def _compute_gradients(
        self, loss: Any, var_list: Any, grad_loss: Any = None, tape: GradientTape | None = None
    ) -> list[tuple[Any, Variable]]:
        """Pairs of gradient and variable, by the arguments of `minimize`; `grad_loss` may be a function of the loss."""
        if not callable(loss) and tape is None:
            raise ValueError(
                f"`tape` is required when a `Tensor` loss is passed: loss={loss!r}. Or pass a function that gives it."
            )
        tape = GradientTape() if tape is None else tape
        if callable(loss):
            with tape:
                if not callable(var_list):
                    tape.watch(list(var_list))
                loss = loss()
        variables = list(var_list() if callable(var_list) else var_list)
        grad_loss = grad_loss(loss) if callable(grad_loss) else grad_loss
        gradients = tape.gradient(loss, variables, None if grad_loss is None else [grad_loss])
        return list(zip(gradients, variables, strict=True))

    def get_gradients(self, loss: Any, params: Any) -> Any:
        """Not available: a tensor does not know how it was computed."""
        raise RuntimeError(
            "Optimizer.get_gradients needs a TensorFlow 1 graph. Compute the loss inside of "
            "`with tf.GradientTape() as tape:` and call tape.gradient(loss, params)."
        )

    def get_updates(self, loss: Any, params: Any) -> list[Variable]:
        """One update by what `get_gradients` gives: for subclasses that define it."""
        return [self.apply_gradients(list(zip(self.get_gradients(loss, params), params, strict=True)))]

    def apply_gradients(
        self,
        grads_and_vars: Iterable[tuple[Any, Variable]],
        name: str | None = None,
        experimental_aggregate_gradients: bool = True,
    ) -> Variable:
        """Update variables by their gradients, which are summed over the ranks of the strategy first.

        Args:
            grads_and_vars: Pairs of gradient and variable. A gradient that is None leaves its variable as it is.
            name: Accepted as TensorFlow does.
            experimental_aggregate_gradients: Whether gradients are to be summed over the ranks.

        Returns:
            `iterations`, which counts one more.

        Raises:
            ValueError: There is no gradient at all, or one does not fit its variable.
        """
        pairs = as_pairs(grads_and_vars)
        if not pairs:
            return self.iterations
        gradients, variables = with_gradients(pairs)
        places = [variable._array for variable in variables]
        self.build([variable for _, variable in pairs])
        for group in self.groups:
            group.parameters.hold(set(variables))
        self._check_updates([v for v, place in zip(variables, places, strict=True) if v._array is not place])
        gradients = [
            dense(gradient) if isinstance(gradient, IndexedSlices) and self.group_of(variable).is_sharded else gradient
            for gradient, variable in zip(gradients, variables, strict=True)
        ]
        settle_sharing(self, gradients, variables, experimental_aggregate_gradients)
        if self.is_by_variable and not self.takes_rows:
            gradients = list(map(dense, gradients))
        rows = {
            variable: gradient.values.shape[0]
            for gradient, variable in zip(gradients, variables, strict=True)
            if isinstance(gradient, IndexedSlices)
        }
        if self.accumulation is not None:
            self.accumulation.check(self, variables, rows, experimental_aggregate_gradients)
        key = (
            (experimental_aggregate_gradients, self.loss_scale),
            tuple(group.form for group in self.groups),
            *map(id, variables),
            *((id(v), count) for v, count in rows.items()),
        )
        if key not in self._calls:
            self._calls = {known: call for known, call in self._calls.items() if known[1] == key[1]}
            if len(self._calls) >= _MOST_CALLS:  # eager steps may come with ever other numbers of rows
                del self._calls[next(iter(self._calls))]
            self._calls[key] = update_call(self, variables, experimental_aggregate_gradients, rows)
        call, sparse = self._calls[key]
        summed = iter(host_call(call, *call_inputs(gradients, variables)))
        if self.is_by_variable:
            if sparse and not context.executing_eagerly():
                raise CaptureError(
                    f"{type(self).__name__}._resource_apply_sparse is given the rows that occur, and how many these "
                    "are is known only when a step runs: run step by step, with `run_eagerly=True`."
                )
            self.apply_by_variable([sparse[v].slices if v in sparse else next(summed) for v in variables], variables)
        return self.iterations

    def _check_updates(self, moved: Collection[Variable]) -> None:
        """Raise CaptureError if another optimizer updates one of these variables, where it was, in the same trace."""
        for variable in moved:
            if context.state.trace is not None and context.state.trace.updates(variable):
                raise CaptureError(
                    f"{variable.name!r} is updated by {self.name!r} and another optimizer in one step, but each keeps "
                    "what it updates side by side. Have both update the same variables in the same order, or run step "
                    "by step, with `run_eagerly=True`."
                )

    def step(self, parts: list[GroupUpdate | SlicesUpdate]) -> None:
        """Clip the gradients that lie in the arenas, update, constrain, count."""
        if self.clips:
            self.clip(parts)
        self.begin_step()
        for part in parts:
            part.update(self)
        self.constrain(parts)
        self.iterations._array += 1
        if self._local_steps > 1:
            self._is_apart = True
            if self.iterations._array.item() % self._local_steps == 0:
                self.finalize_variable_values()

    def constrain(self, parts: Sequence[GroupUpdate | SlicesUpdate]) -> None:
        """Let constraints take effect."""
        for part in parts:
            part.constrain()

    def finalize_variable_values(self, var_list: Any = None) -> None:
        """Average variables and slots over the ranks where they took steps of their own since they last were.

        All ranks must call it; `fit` does at the end of each epoch and before backups.

        Args:
            var_list: Accepted as Keras 3 does; it is about all variables.
        """
        if self._is_apart:
            self._is_apart = False
            for group in self.groups:
                group.average()

    def share_again(self) -> None:
        """Have the ranks of a node share what they have ceased to share because something else was written there.

        All ranks must call it; `fit` does when it begins.
        """
        if any([group.share_again() for group in self.groups]):
            self.forget_calls()

    def clip(self, parts: list[GroupUpdate | SlicesUpdate]) -> None:
        """Cut the gradients that lie in the arenas down to size."""
        clipping.clip(parts, self.clipvalue, self.clipnorm, self.global_clipnorm)

    @property
    def clips(self) -> bool:
        """Whether gradients are cut down to size before the update."""
        return self.clipnorm is not None or self.clipvalue is not None or self.global_clipnorm is not None

    # --- configs

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, hyper-parameters with their present values."""
        limits = {name: getattr(self, name) for name in ("clipnorm", "clipvalue", "global_clipnorm")}
        limits["gradient_accumulation_steps"] = self.gradient_accumulation_steps
        return {"name": self.name, **{name: limit for name, limit in limits.items() if limit is not None}}

    def hyper_config(self, *names: str) -> dict[str, Any]:
        """The named hyper-parameters as a config holds them."""
        return {name: config_value(self._hyper[name]) for name in names}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Optimizer:
        """The inverse of `get_config`."""
        own = inspect.signature(cls.__init__).parameters
        settings = {
            key: value
            for key, value in config.items()
            if key in own or not any(value is default or value == default for default in _LATER_SETTINGS.get(key, ()))
        }
        if "lr" in settings:
            settings["learning_rate"] = settings.pop("lr")
        if isinstance(settings.get("learning_rate"), Mapping):
            settings["learning_rate"] = deserialize_schedule(settings["learning_rate"], custom_objects)
        return cls(**settings)
