"""`tf.train.ExponentialMovingAverage`: averages of variables over the steps of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distkeras.core.tensor import to_tensor
from distkeras.core.variable import Variable
from distkeras.ops import cast, minimum


class ExponentialMovingAverage:
    """For each variable an average that follows it: average -= (1 - decay) * (average - variable).

    Args:
        decay: How much stays of the average at each step, such as 0.999.
        num_updates: The number of steps so far, a number or variable: with it the decay is at most
            (1 + num_updates) / (10 + num_updates), so that averages follow fast at the beginning.
        zero_debias: Accepted: it concerns averages of tensors, and only variables have averages here.
        name: What the averages' names end with.

    >>> import distkeras as tf
    >>> v = tf.Variable(1.0)
    >>> averages = tf.train.ExponentialMovingAverage(decay=0.75)
    >>> averages.apply([v])
    >>> _ = v.assign(5.0)
    >>> averages.apply([v])
    >>> averages.average(v).numpy()
    np.float32(2.0)
    """

    def __init__(
        self,
        decay: Any,
        num_updates: Any = None,
        zero_debias: bool = False,
        name: str = "ExponentialMovingAverage",
    ) -> None:
        self.name = name
        self._decay, self._num_updates = decay, num_updates
        self._averages: dict[int, tuple[Variable, Variable]] = {}

    def apply(self, var_list: Sequence[Variable]) -> None:
        """Move the averages towards the variables; those of new ones are made, with their values.

        Raises:
            TypeError: There is something else than variables of floating-point numbers.
        """
        for variable in var_list:
            if not isinstance(variable, Variable) or not variable.dtype.is_floating:
                raise TypeError(
                    "ExponentialMovingAverage.apply: expected a list of variables of floating-point numbers, received "
                    f"{variable!r}."
                )
        for variable in var_list:
            if id(variable) not in self._averages:
                label = f"{variable.name.removesuffix(':0')}/{self.name}"
                average = Variable(variable.numpy, trainable=False, name=label)
                self._averages[id(variable)] = variable, average
        for variable in var_list:
            average = self._averages[id(variable)][1]
            average.assign_sub((average - variable) * (1.0 - self._decay_now(variable)))

    def _decay_now(self, variable: Variable) -> Any:
        decay = cast(to_tensor(self._decay), variable.dtype)
        if self._num_updates is None:
            return decay
        steps = cast(to_tensor(self._num_updates), variable.dtype)
        return minimum(decay, (1.0 + steps) / (10.0 + steps))

    def average(self, var: Variable) -> Variable | None:
        """The average of a variable; None if it has none."""
        return self._averages.get(id(var), (None, None))[1]

    def average_name(self, var: Variable) -> str:
        """The name that the average of a variable has, or would have."""
        return f"{var.name.removesuffix(':0')}/{self.name}"
