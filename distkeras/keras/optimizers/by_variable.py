"""Optimizers as users of TensorFlow 2.0 write them: slots and updates variable by variable, in tensor operations.

gradients --> one host call: summed over ranks, clipped --> _resource_apply_dense(gradient, variable) for each variable

Such an update runs, and is compiled, op by op: slower than the kernel of a built-in optimizer over a whole arena.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras import ops
from distkeras.core.context import init_scope
from distkeras.core.host import HostCall, host_call
from distkeras.core.indexed_slices import IndexedSlices, dense
from distkeras.core.spec import as_dtype
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.core.variable import Variable
from distkeras.keras import initializers
from distkeras.keras.optimizers.hyper import Hyper, config_value
from distkeras.keras.optimizers.schedules import LearningRateSchedule
from distkeras.keras.optimizers.sparse import RowsUpdate

_UPDATES = ("_resource_apply_dense", "_resource_apply_sparse")


class ByVariable:
    """What an optimizer inherits that updates variables one by one: it defines `_resource_apply_dense`.

    >>> import distkeras as tf
    >>> class Signs(tf.keras.optimizers.Optimizer):
    ...     def __init__(self, learning_rate=0.1, name="Signs", **kwargs):
    ...         super().__init__(name, **kwargs)
    ...         self._set_hyper("learning_rate", kwargs.get("lr", learning_rate))
    ...     def _create_slots(self, var_list):
    ...         for var in var_list:
    ...             self.add_slot(var, "steps")
    ...     def _resource_apply_dense(self, grad, var):
    ...         self.get_slot(var, "steps").assign_add(tf.ones_like(grad))
    ...         var.assign_sub(self._decayed_lr(var.dtype) * tf.sign(grad))
    ...     def get_config(self):
    ...         return {**super().get_config(), "learning_rate": self._serialize_hyperparameter("learning_rate")}
    >>> optimizer, x = Signs(0.5), tf.Variable([1.0, 1.0])
    >>> _ = optimizer.apply_gradients([(tf.constant([3.0, -2.0]), x)])
    >>> x.numpy().tolist(), [weight.name for weight in optimizer.weights]
    ([0.5, 1.5], ['Signs/iter:0', 'Signs/Variable/steps:0'])
    """

    _use_locking = True
    is_by_variable = False  # whether a subclass has an update of its own
    takes_rows = False  # whether that is one of rows; gradients are made dense otherwise
    _take_state: set[str] = set()  # which of the updates take the argument `apply_state`

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.takes_rows = cls._resource_apply_sparse is not ByVariable._resource_apply_sparse
        cls.is_by_variable = cls.takes_rows or cls._resource_apply_dense is not ByVariable._resource_apply_dense
        cls._take_state = {
            kind for kind in _UPDATES if "apply_state" in inspect.signature(getattr(cls, kind)).parameters
        }

    # --- what subclasses define

    def _create_slots(self, var_list: Sequence[Variable]) -> None:
        """Make the state of variables, with `add_slot`."""

    def _resource_apply_dense(self, grad: Tensor, var: Variable, apply_state: Any = None) -> Any:
        """Update a variable by its gradient. This one is the kernel's, for subclasses that call `super()`.

        Args:
            grad: The gradient, summed over the ranks and clipped.
            var: The variable.
            apply_state: What `_prepare_local` computed, by device and element type.
        """
        group = self.group_of(var)
        index = group.index(var)
        (span,) = group.runs([index])
        slots = [made[index] for made in group.slot_variables.values()]
        call = HostCall(
            f"{self.name}.apply_dense",
            lambda: self.update(group, span),
            [group.gradients.views[index]],
            writes=[var, *slots],
        )
        return host_call(call, grad)

    def _resource_apply_sparse(self, grad: Tensor, var: Variable, indices: Tensor, apply_state: Any = None) -> Any:
        """Update rows of a variable; each row comes once. This one is the kernel's, for subclasses that call `super()`.

        Args:
            grad: The gradient's rows, summed over the ranks and clipped.
            var: The variable.
            indices: The rows' numbers.
            apply_state: What `_prepare_local` computed, by device and element type.
        """
        if not self.updates_rows:
            return ByVariable._resource_apply_dense(self, dense(IndexedSlices(grad, indices, var.shape)), var)
        return RowsUpdate.of(self.group_of(var), var, grad, indices).update(self)

    def _resource_scatter_add(self, x: Variable, i: Any, v: Any) -> Variable:
        """Add `v` to the rows `i` of a variable."""
        return x.assign_add(dense(IndexedSlices(v, i, x.shape)))

    def _resource_scatter_update(self, x: Variable, i: Any, v: Any) -> Variable:
        """Put `v` into the rows `i` of a variable, each of which comes once."""
        chosen = dense(IndexedSlices(ops.ones_like(v), i, x.shape))
        return x.assign(ops.where(chosen > 0, dense(IndexedSlices(v, i, x.shape)), x))

    # --- hyper-parameters

    def _set_hyper(self, name: str, value: Any) -> None:
        """Set a hyper-parameter, which is then an attribute of this name too."""
        if not isinstance(getattr(type(self), name, None), Hyper):
            hyper = Hyper()
            hyper.__set_name__(type(self), name)
            setattr(type(self), name, hyper)
        setattr(self, name, value)

    def _get_hyper(self, name: str, dtype: Any = None) -> Any:
        """A hyper-parameter as it is now: a schedule itself, or a tensor, of an element type if one is given."""
        value = getattr(self, name)
        if isinstance(value, LearningRateSchedule):
            return value
        value = to_tensor(value() if not isinstance(value, Variable) and callable(value) else value)
        return value if dtype is None else ops.cast(value, dtype)

    def _serialize_hyperparameter(self, hyperparameter_name: str) -> Any:
        """A hyper-parameter as a config holds it."""
        return config_value(self._hyper[hyperparameter_name])

    @property
    def _initial_decay(self) -> float:
        return config_value(self._hyper["decay"])

    def _decayed_lr(self, var_dtype: Any) -> Tensor:
        """The learning rate of this step, of an element type."""
        rate, step = self._get_hyper("learning_rate", var_dtype), ops.cast(self.iterations.value(), var_dtype)
        if isinstance(rate, LearningRateSchedule):
            rate = ops.cast(rate(self.iterations.value()), var_dtype)
        return rate / (1.0 + self._get_hyper("decay", var_dtype) * step) if self._initial_decay else rate

    def _create_hypers(self) -> None:
        """Make the hyper-parameters variables, so that a compiled step reads them anew each time."""
        for name in self._hyper:
            getattr(self, name)

    # --- state

    def add_weight(
        self,
        name: str,
        shape: Sequence[int],
        dtype: Any = None,
        initializer: Any = "zeros",
        trainable: bool = False,
        synchronization: Any = None,
        aggregation: Any = None,
    ) -> Variable:
        """A variable that belongs to the optimizer.

        Args:
            name: Its name, after the optimizer's.
            shape: Its shape.
            dtype: Its element type, that of floats by default.
            initializer: Its first value: an initializer or its name.
            trainable: Must be False: it is not trained itself.
            synchronization, aggregation: Accepted as TensorFlow does: all ranks compute the same state.
        """
        if trainable:
            raise ValueError(f"{self.name}.add_weight: a variable of an optimizer is not trainable itself ({name!r}).")
        with init_scope():
            value = initializers.get(initializer)(tuple(shape), as_dtype(dtype or "float32"))
            weight = Variable(value, trainable=False, name=f"{self.name}/{name}")
        self._weights.append(weight)
        return weight

    def add_slot(self, var: Variable, slot_name: str, initializer: Any = "zeros") -> Variable:
        """The state called `slot_name` of a variable, made at the first call.

        Args:
            var: The variable.
            slot_name: The slot's name.
            initializer: Its first value: an initializer, its name, or a value of the variable's shape.
        """
        known = self._own_slots.setdefault(var, {})
        if slot_name not in known:
            if isinstance(initializer, str) or callable(initializer):
                initializer = initializers.get(initializer)(tuple(var.shape), var.dtype)
            with init_scope():
                name = f"{self.name}/{var.name.split(':')[0]}/{slot_name}"
                known[slot_name] = Variable(np.asarray(initializer, var.dtype.numpy), trainable=False, name=name)
            if known[slot_name].shape != var.shape:
                raise ValueError(
                    f"add_slot: expected a first value of shape {var.shape}, as {var.name!r}, received shape "
                    f"{known.pop(slot_name).shape} for {slot_name!r}."
                )
            self._weights.append(known[slot_name])
        return known[slot_name]

    # --- steps

    def _prepare(self, var_list: Sequence[Variable]) -> dict[tuple[str, Any], dict[str, Any]]:
        """What is the same for all variables of a device and an element type, by these two."""
        state: dict[tuple[str, Any], dict[str, Any]] = {}
        for key in dict.fromkeys((var.device, var.dtype) for var in var_list):
            state[key] = {}
            self._prepare_local(*key, state)
        return state

    def _prepare_local(self, var_device: str, var_dtype: Any, apply_state: dict) -> None:
        """Enter what is the same for all variables of this device and type: `lr_t`, and what subclasses add."""
        if "learning_rate" in self._hyper:
            apply_state[var_device, var_dtype]["lr_t"] = self._decayed_lr(var_dtype)

    def _fallback_apply_state(self, var_device: str, var_dtype: Any) -> dict[str, Any]:
        """The same when no state was prepared."""
        state: dict[tuple[str, Any], dict[str, Any]] = {(var_device, var_dtype): {}}
        self._prepare_local(var_device, var_dtype, state)
        return state[var_device, var_dtype]

    def apply_by_variable(self, gradients: Sequence[Tensor | IndexedSlices], variables: Sequence[Variable]) -> None:
        """Update each variable by its gradient, enforce constraints, and count the step."""
        host_call(HostCall(f"{self.name}.begin_step", self.begin_step, writes=self.extra_weights()))
        state = self._prepare(variables)
        for gradient, variable in zip(gradients, variables, strict=True):
            if isinstance(gradient, IndexedSlices):
                kind, given = "_resource_apply_sparse", (gradient.values, variable, gradient.indices)
            else:
                kind, given = "_resource_apply_dense", (gradient, variable)
            getattr(self, kind)(*given, **({"apply_state": state} if kind in self._take_state else {}))
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable.value()))
        self.iterations.assign_add(1)
