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
    ReplicaMismatchError,
)

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
    "OutOfRangeError",
    "ReplicaMismatchError",
]
