"""Variables: tensors that can be assigned to, each a named view of a buffer."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras.core import arena as _arena
from distkeras.core.context import init_scope, state
from distkeras.core.scopes import scoped
from distkeras.core.spec import DType, TensorShape, TensorSpec, as_dtype
from distkeras.core.tensor import Reference, Tensor, as_array, register_conversion, shown, to_tensor

# Counts how often any variable changed its memory; a Plan made before the last change holds stale addresses. So it does
# where `make_plans_anew` was called.
relocations = 0


def make_plans_anew() -> None:
    """Let no plan run again that was made until now: what it was made for has changed."""
    global relocations
    relocations += 1


class VariableSynchronization(enum.Enum):
    """When the values of several ranks become one: what is synchronised on reading may differ until then."""

    AUTO = 0
    NONE = 1
    ON_WRITE = 2
    ON_READ = 3


class VariableAggregation(enum.Enum):
    """How the values of several ranks become one."""

    NONE = 0
    SUM = 1
    MEAN = 2
    ONLY_FIRST_REPLICA = 3


def _member(default: enum.Enum, value: Any) -> enum.Enum:
    """The member that is meant: by itself, by TensorFlow's, or by its name.

    Raises:
        ValueError: There is no such member.
    """
    kind = type(default)
    name = default.name if value is None else str(getattr(value, "name", value)).upper()
    if name not in kind.__members__:
        raise ValueError(f"Expected a tf.{kind.__name__}: one of {', '.join(kind.__members__)}; received {value!r}.")
    return kind[name]


class Variable:
    """A tensor that keeps its shape and type and can be assigned to.

    Args:
        initial_value: A tensor, array, number, nested list, or a function without arguments that gives one.
        trainable: Whether tapes watch it and Keras trains it; None means yes.
        validate_shape: Whether `shape` is checked.
        caching_device: Accepted as TensorFlow does: there is one device.
        name: Its name; ':0' is appended, as TensorFlow does.
        variable_def, import_scope: Belong to graphs of TF 1; must be None.
        dtype: The element type; that of the value by default.
        constraint: A function of the value, applied after each optimizer update.
        synchronization, aggregation: How values of several ranks become one, where they differ: those of metrics. A
            `tf.VariableSynchronization` (AUTO by default) and a `tf.VariableAggregation` (NONE), or their names.
        shape: The shape, if it should be checked.

    >>> import distkeras as tf
    >>> v = tf.Variable([1.0, 2.0], name="v")
    >>> v.assign_add([1.0, 1.0])
    <tf.Variable 'v:0' shape=(2,) dtype=float32, numpy=array([2., 3.], dtype=float32)>
    """

    __array_priority__ = 100
    # What is to be done before anything but an optimizer's update changes the value: leaving memory that is shared.
    before_write: Callable[[], None] | None = None
    is_gathered = False  # whether rows have been gathered from it: gradients then are likely to be IndexedSlices

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool | None = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: Any = None,
        import_scope: Any = None,
        constraint: Callable[[Tensor], Tensor] | None = None,
        synchronization: Any = None,
        aggregation: Any = None,
        shape: Any = None,
    ) -> None:
        if initial_value is None:
            raise ValueError("initial_value must be specified.")
        if variable_def is not None or import_scope is not None:
            raise ValueError("variable_def and import_scope belong to TF 1 graphs; give initial_value instead.")
        if state.trace is not None and not state.trace.makes_variables:
            raise ValueError(
                "tf.function-decorated function tried to create variables on non-first call: make them before it is "
                "called, or only where there is none yet, as in `if self.v is None: self.v = tf.Variable(...)`."
            )
        with init_scope():
            value = initial_value() if callable(initial_value) else initial_value
            array = as_array(value.value() if isinstance(value, Variable) else value, dtype)
        if shape is not None and validate_shape:
            TensorShape(shape).assert_is_compatible_with(array.shape)
        self._array = _arena.allocate(array.size, array.dtype).reshape(array.shape)
        np.copyto(self._array, array)
        self._name = scoped(name or "Variable")
        self.trainable = trainable is None or bool(trainable)
        self.constraint = constraint
        self.synchronization = _member(VariableSynchronization.AUTO, synchronization)
        self.aggregation = _member(VariableAggregation.NONE, aggregation)
        self._shape = TensorShape(array.shape)
        self._dtype = as_dtype(array.dtype)

    # --- what it is

    @property
    def name(self) -> str:
        return f"{self._name}:0"

    @property
    def shape(self) -> TensorShape:
        return self._shape

    def get_shape(self) -> TensorShape:
        return self._shape

    @property
    def dtype(self) -> DType:
        return self._dtype

    @property
    def spec(self) -> TensorSpec:
        return TensorSpec(self._shape, self._dtype)

    @property
    def ndim(self) -> int:
        return len(self._shape)

    @property
    def device(self) -> str:
        return "/job:localhost/replica:0/task:0/device:CPU:0"

    # --- reading

    def value(self) -> Tensor:
        """The value now, as a tensor that later assignments do not change."""
        if self in state.overrides:
            return state.overrides[self]
        tensor = state.trace.read(self) if state.trace is not None else Tensor(self._array.copy())
        for tape in state.tapes:
            tape.record_read(self, tensor)
        return tensor

    read_value = value

    def value_in_place(self) -> Tensor:
        """The value, where nothing is traced in the variable's own memory: to be used at once, and not kept."""
        if self in state.overrides or state.trace is not None:
            return self.value()
        tensor = Tensor(self._array)
        for tape in state.tapes:
            tape.record_read(self, tensor)
        return tensor

    def initialized_value(self) -> Tensor:
        """The value: variables have one from the beginning."""
        return self.value()

    def set_shape(self, shape: Any) -> None:
        """Check that `shape` fits this variable's."""
        TensorShape(shape).assert_is_compatible_with(self._shape)

    def experimental_ref(self) -> Reference:
        """What stands for this very variable in sets and as a key of dicts."""
        return Reference(self)

    def numpy(self) -> Any:
        """A copy of the value as an ndarray (a NumPy scalar for a scalar)."""
        return self.value().numpy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.value().__array__(dtype)

    # --- writing

    def assign(
        self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> Variable | None:
        """Replace the value.

        Args:
            value: Of the variable's shape and element type.
            use_locking, name: Accepted as TensorFlow does: assignments are made one after the other.
            read_value: Whether the variable is given back.

        Raises:
            ValueError: The shape or the element type is another one; the variable keeps its value.
        """
        tensor = to_tensor(value, like=self)
        if tensor.shape != self._shape:
            raise ValueError(
                f"Shapes {self._shape} and {tensor.shape} are incompatible: the variable {self.name!r} has the first, "
                "the value given to assign has the second."
            )
        if tensor.dtype != self._dtype:
            raise ValueError(
                f"The variable {self.name!r} has dtype {self._dtype.name}, the value given to assign "
                f"{tensor.dtype.name}: cast it first with tf.cast(value, tf.{self._dtype.name})."
            )
        if self.before_write is not None:
            self.before_write()
        if state.trace is not None:
            state.trace.assign(self, tensor)
        else:
            np.copyto(self._array, tensor._value("a value to assign"))
        return self if read_value else None

    def fill(self, number: float) -> None:
        """Make every element `number`."""
        if state.trace is not None:
            self.assign(Tensor(np.full(self._shape, number, self._dtype.numpy)))
            return
        if self.before_write is not None:
            self.before_write()
        self._array[...] = number  # in half the time of fill

    def assign_add(
        self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> Variable | None:
        """Add `delta` to the value; see `assign`."""
        return self.assign(self.value() + to_tensor(delta, like=self), read_value=read_value)

    def assign_sub(
        self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> Variable | None:
        """Subtract `delta` from the value; see `assign`."""
        return self.assign(self.value() - to_tensor(delta, like=self), read_value=read_value)

    def relocate(self, view: np.ndarray) -> None:
        """Move into `view`, a part of an arena, keeping the value."""
        if view is self._array:
            return
        if self.before_write is not None:
            self.before_write()
        np.copyto(view, self._array)
        self.lie_in(view)

    def lie_in(self, view: np.ndarray) -> None:
        """Take `view` for the variable's memory, with what it holds."""
        global relocations
        self._array = view
        relocations += 1

    # --- Python

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> bool:
        return bool(self.value())

    def __int__(self) -> int:
        return int(self.value())

    def __float__(self) -> float:
        return float(self.value())

    def __index__(self) -> int:
        return self.value().__index__()

    def __len__(self) -> int:
        return len(self.value())

    def __iter__(self) -> Any:
        return iter(self.value())

    def __format__(self, spec: str) -> str:
        return format(self.value(), spec) if spec else str(self)

    def __deepcopy__(self, memo: dict) -> Variable:
        copy = Variable(self._array, self.trainable, constraint=self.constraint)
        copy._name = self._name
        memo[id(self)] = copy
        return copy

    def __repr__(self) -> str:
        return f"<tf.Variable {self.name!r} shape={self._shape} dtype={self._dtype.name}, numpy={shown(self._array)}>"


register_conversion(Variable, lambda variable: variable.value())


def assign_all(variables: Sequence[Variable], arrays: Sequence[np.ndarray], kind: str, name: str) -> None:
    """Give variables the values of as many arrays, all of them or none.

    Args:
        kind, name: What the variables belong to, for the message.

    Raises:
        ValueError: A shape differs.
    """
    for variable, array in zip(variables, arrays, strict=True):
        if tuple(variable.shape) != array.shape:
            raise ValueError(
                f"{kind.capitalize()} weight shape {variable.shape} not compatible with provided weight shape "
                f"{array.shape} for the weight {variable.name!r} of {kind} {name!r}."
            )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array.astype(variable.dtype.numpy))
