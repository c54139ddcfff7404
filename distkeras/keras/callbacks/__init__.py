"""Callbacks: what happens around training steps and epochs."""

from distkeras.keras.callbacks.backup_and_restore import BackupAndRestore
from distkeras.keras.callbacks.base import Callback, CallbackList
from distkeras.keras.callbacks.csv_logger import CSVLogger
from distkeras.keras.callbacks.early_stopping import EarlyStopping
from distkeras.keras.callbacks.history import BaseLogger, History
from distkeras.keras.callbacks.lambda_callback import LambdaCallback
from distkeras.keras.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from distkeras.keras.callbacks.model_checkpoint import ModelCheckpoint
from distkeras.keras.callbacks.progbar_logger import ProgbarLogger
from distkeras.keras.callbacks.remote_monitor import RemoteMonitor
from distkeras.keras.callbacks.tensorboard import TensorBoard
from distkeras.keras.callbacks.terminate_on_nan import TerminateOnNaN

__all__ = [
    "BackupAndRestore",
    "BaseLogger",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "TensorBoard",
    "TerminateOnNaN",
]
__dir__ = __all__.copy
