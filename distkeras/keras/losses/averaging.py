"""Losses of a training loop of one's own, divided so that gradients summed over ranks are those of one process."""

from __future__ import annotations

from typing import Any

from distkeras import ops
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.distribute.strategies import get_strategy


def compute_average_loss(
    per_example_loss: Any, sample_weight: Any = None, global_batch_size: int | None = None
) -> Tensor:
    """This rank's part of the mean loss of a global batch (`tf.nn.compute_average_loss`).

    Args:
        per_example_loss: Losses of this rank's samples: [samples, ...].
        sample_weight: Their weights, None for ones.
        global_batch_size: The samples of all ranks; by default they are counted.

    Returns:
        The sum of the weighted losses divided by the global batch size; the ranks' parts add up to the mean.

    Raises:
        ValueError: `per_example_loss` is a scalar.

    >>> import distkeras as tf
    >>> tf.nn.compute_average_loss([1.0, 2.0, 3.0, 4.0]).numpy()
    np.float32(2.5)
    """
    losses = to_tensor(per_example_loss)
    if not losses.ndim:
        raise ValueError(
            "compute_average_loss expects a loss for each sample, received a scalar: use reduction='none'."
        )
    if sample_weight is not None:
        weight = ops.cast(sample_weight, losses.dtype)
        losses = losses * ops.reshape(weight, (*weight.shape, *(1,) * (losses.ndim - weight.ndim)))
    if global_batch_size is None:
        (global_batch_size,) = get_strategy().all_sum([ops.constant(losses.shape[0], losses.dtype)])
    return ops.divide_no_nan(ops.reduce_sum(losses), ops.cast(global_batch_size, losses.dtype))


def scale_regularization_loss(regularization_loss: Any) -> Tensor:
    """The sum of losses that every rank computes alike, divided by the number of ranks (`tf.nn` of the same name)."""
    return ops.reduce_sum(to_tensor(regularization_loss)) / float(get_strategy().num_replicas_in_sync)
