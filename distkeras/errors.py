"""`tf.errors`: exceptions."""

from distkeras._errors import (
    CaptureError,
    DistkerasError,
    DistributionError,
    FileFormatError,
    InvalidArgumentError,
    LaunchMismatchError,
    MPIUnavailableError,
    ReplicaMismatchError,
)

__all__ = [
    "CaptureError",
    "DistkerasError",
    "DistributionError",
    "FileFormatError",
    "InvalidArgumentError",
    "LaunchMismatchError",
    "MPIUnavailableError",
    "ReplicaMismatchError",
]
