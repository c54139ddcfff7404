"""Every exception of distkeras' own, in one tree.

    Exception
     +- DistkerasError
         +- CaptureError (TypeError)            a traced tensor was used as a Python value
         +- FileFormatError (OSError)           a file is broken, truncated or of another kind
             +- DataLossError                   data is lost: a checksum does not match, an element is cut off
         +- InvalidArgumentError (ValueError)   an op's operands do not go together
         +- NotFoundError (FileNotFoundError)   a file that is to be read is not there
         +- OutOfRangeError (IndexError)        an iterator was asked for more than it has
         +- DataWorkerError (RuntimeError)      a process that reads data raised an exception, or died
         +- DistributionError (RuntimeError)
             +- MPIUnavailableError             no MPI library, or one that cannot start
             +- LaunchMismatchError             the launcher and the MPI library disagree about the ranks
             +- ReplicaMismatchError            ranks hold different models, data or settings
             +- RankLostError                   a rank was lost, and what was under way needs it

Where TensorFlow 2.0 raises ValueError, TypeError, RuntimeError or KeyError, so does distkeras: only what has no such
counterpart is here, and each also derives from the built-in type that fits it.
"""


class DistkerasError(Exception):
    """Base of distkeras' own exceptions; `tf.errors.OpError`."""

    @property
    def message(self) -> str:
        """What went wrong."""
        return str(self)


class CaptureError(DistkerasError, TypeError):
    """A tensor that has no value yet, because a function is being traced, was used as a Python value."""


class FileFormatError(DistkerasError, OSError):
    """A file is not what it should be; the message names the file and the entry."""


class DataWorkerError(DistkerasError, RuntimeError):
    """A process that reads data ahead raised an exception, whose traceback the message holds, or died."""


class DistributionError(DistkerasError, RuntimeError):
    """Ranks cannot work together."""


class MPIUnavailableError(DistributionError):
    """No MPI library was found, or it cannot start."""


class LaunchMismatchError(DistributionError):
    """The launcher started a number of ranks that the MPI library does not see."""


class ReplicaMismatchError(DistributionError):
    """Ranks differ in something that must be the same on all of them."""


class RankLostError(DistributionError):
    """A rank was lost in the middle of something that cannot be done without it, or too many were."""


class InvalidArgumentError(DistkerasError, ValueError):
    """An op received tensors whose types, shapes or values do not go together (`tf.errors.InvalidArgumentError`)."""


class DataLossError(FileFormatError):
    """Data is not there as it was written, or does not fit where it is to go (`tf.errors.DataLossError`)."""


class NotFoundError(DistkerasError, FileNotFoundError):
    """A file that is to be read does not exist (`tf.errors.NotFoundError`)."""


class OutOfRangeError(DistkerasError, IndexError):
    """An iterator has no more elements (`tf.errors.OutOfRangeError`)."""
