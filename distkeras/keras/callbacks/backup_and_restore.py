"""Saving a training run while it goes on, so that it can be taken up again."""

from __future__ import annotations

import os
from typing import Any

from distkeras.keras.callbacks.base import Callback
from distkeras.keras.saving.backup_folder import BackupFolder


class BackupAndRestore(Callback):
    """Saves the whole state of `fit`, and lets the next `fit` with the same folder go on from there.

    The state is that of weights, optimizer, metrics, random numbers, the other callbacks and the history, together with
    the place in the data. The run that goes on has the history of the whole training, and, on as many ranks, the
    weights that it would have had without the interruption, bit for bit. What it takes is in docs/fault_tolerance.md.

    Asked to stop by SIGUSR1, SIGTERM or the time limit, `fit` saves at the end of the step and ends the program with
    exit code 85.

    Args:
        backup_dir: The folder, for this one call of `fit` alone. It is made if need be.
        save_freq: 'epoch' saves after each epoch; a number, after so many steps; False, only when asked to stop.
        delete_checkpoint: Whether to delete the folder's backups when the training has come to its end.
        save_before_preemption: Whether to save when asked to stop. The program ends all the same.
        keep: How many backups to keep. A damaged one is passed over, and the one before it taken.

    Raises:
        ValueError: An argument is none of these, or nothing would ever be saved.

    >>> import distkeras as tf
    >>> callback = tf.keras.callbacks.BackupAndRestore("backups", save_freq=100)
    """

    def __init__(
        self,
        backup_dir: Any,
        save_freq: str | int | bool = "epoch",
        delete_checkpoint: bool = True,
        save_before_preemption: bool = True,
        keep: int = 2,
    ) -> None:
        super().__init__()
        is_count = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
        if save_freq != "epoch" and save_freq is not False and not is_count:
            raise ValueError(
                f"`save_freq` must be 'epoch', a positive number of steps, or False, received {save_freq!r}."
            )
        if save_freq is False and not save_before_preemption:
            raise ValueError("save_freq=False and save_before_preemption=False: nothing would ever be saved.")
        if not isinstance(keep, int) or isinstance(keep, bool) or keep < 1:
            raise ValueError(f"`keep` must be a positive number of backups, received {keep!r}.")
        self.backup_dir = os.fspath(backup_dir)
        if not self.backup_dir:
            raise ValueError("`backup_dir` must name a folder, received an empty text.")
        self.save_freq = save_freq
        self.delete_checkpoint = delete_checkpoint
        self.save_before_preemption = save_before_preemption
        self.folder = BackupFolder(self.backup_dir, keep)

    def is_due(self, consumed: int, ends_epoch: bool) -> bool:
        """Whether to save now.

        Args:
            consumed: How many steps were taken in all.
            ends_epoch: Whether an epoch is over, with its validation; else a step is.
        """
        if self.save_freq == "epoch" or ends_epoch:
            return ends_epoch and self.save_freq == "epoch"
        return self.save_freq is not False and consumed % self.save_freq == 0
