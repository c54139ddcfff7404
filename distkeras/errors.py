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


def _named(name: str) -> type[DistkerasError]:
    summary = "Never raised by distkeras: named so that scripts written for TensorFlow can catch it."
    return type(name, (DistkerasError,), {"__doc__": summary, "__module__": __name__})


_NEVER_RAISED = """
    AbortedError AlreadyExistsError CancelledError DeadlineExceededError FailedPreconditionError InternalError
    PermissionDeniedError ResourceExhaustedError UnauthenticatedError UnavailableError UnimplementedError UnknownError
""".split()
globals().update({name: _named(name) for name in _NEVER_RAISED})

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
    *_NEVER_RAISED,
]
