"""`tf.errors`: exceptions."""

from distkeras._errors import (
    CaptureError,
    DataLossError,
    DistkerasError,
    DistributionError,
    FileFormatError,
    InvalidArgumentError,
    LaunchMismatchError,
    MPIUnavailableError,
    NotFoundError,
    OutOfRangeError,
    RankLostError,
    ReplicaMismatchError,
)

OpError = DistkerasError

__all__ = [
    "CaptureError",
    "DataLossError",
    "DistkerasError",
    "DistributionError",
    "FileFormatError",
    "InvalidArgumentError",
    "LaunchMismatchError",
    "MPIUnavailableError",
    "NotFoundError",
    "OpError",
    "OutOfRangeError",
    "RankLostError",
    "ReplicaMismatchError",
]
