"""Options of a strategy that are checked before anything is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras import _settings
from distkeras.distribute.communicator import Communicator


def check_shard(shard: Any, deterministic: bool, elastic: bool) -> None:
    """Raise ValueError unless `keras.utils.Sequence`s can be shared out in this way."""
    if shard not in ("slice", "stride"):
        raise ValueError(f"`shard` must be 'slice' or 'stride', received {shard!r}.")
    if shard == "stride" and deterministic:
        raise ValueError(
            "deterministic=True trains alike with any number of ranks, but with shard='stride' what a step takes "
            "depends on it: use shard='slice'."
        )
    if shard == "stride" and elastic:
        raise ValueError(
            "Elastic training takes the rows of a lost rank over, but with shard='stride' no other rank has them: use "
            "shard='slice'."
        )


def check_local_steps(steps: Any, compression: str, deterministic: bool, elastic: bool) -> None:
    """Raise ValueError unless ranks can take so many steps by themselves."""
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 1:
        raise ValueError(f"local_steps must be a whole number of 1 or more, received {steps!r}.")
    others = {
        f"compression={compression!r}, for no gradients are exchanged": compression != "none",
        "deterministic=True, for ranks train different weights": deterministic,
        "elastic ranks, for what a lost rank has trained by itself nobody else has": elastic,
        "debug, which compares the ranks' weights at each step": _settings.current().debug,
    }
    for other, is_given in others.items():
        if steps > 1 and is_given:
            raise ValueError(f"local_steps={steps} does not go with {other}. Leave one of them out.")


def check_sharded_state(given: Any, others: dict[str, bool]) -> None:
    """Raise ValueError unless optimizer state can be divided among the ranks.

    Args:
        given: The option.
        others: What it does not go with, and whether that is given.
    """
    if not isinstance(given, (bool, np.bool_)):
        raise ValueError(f"shard_optimizer_state must be True or False, received {given!r}.")
    others = others | {"debug, which compares all ranks' slots at each step": _settings.current().debug}
    for other, is_given in others.items():
        if given and is_given:
            raise ValueError(f"shard_optimizer_state=True does not go with {other}. Leave one of them out.")


def why_apart(communicator: Communicator, deterministic: bool, local_steps: int, shards_state: bool) -> str:
    """Why every rank keeps weights of its own where memory could be shared; nothing if nothing speaks against that.

    Args:
        communicator: The ranks.
        deterministic, local_steps, shards_state: Options of the strategy.
    """
    reasons = {
        "deterministic=True sends sums between nodes": deterministic and communicator.num_nodes > 1,
        f"local_steps={local_steps} lets weights differ in between": local_steps > 1,
        "shard_optimizer_state=True divides the optimizer's state among them": shards_state,
        "an elastic job may lose one in the midst of an update": communicator.is_elastic,
    }
    return " and ".join(reason for reason, holds in reasons.items() if holds)
