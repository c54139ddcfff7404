"""`tf.summary`: numbers, distributions, images and texts for TensorBoard, from any place of a program.

>>> import distkeras as tf, tempfile
>>> writer = tf.summary.create_file_writer(tempfile.mkdtemp())
>>> with writer.as_default():
...     for step in range(3):
...         written = tf.summary.scalar("loss", 1.0 / (step + 1), step=step)
>>> writer.flush()
"""

from distkeras.summary import experimental
from distkeras.summary.values import histogram, image, scalar, text
from distkeras.summary.writer import SummaryWriter, create_file_writer, create_noop_writer, flush, record_if

__all__ = [
    "SummaryWriter",
    "create_file_writer",
    "create_noop_writer",
    "experimental",
    "flush",
    "histogram",
    "image",
    "record_if",
    "scalar",
    "text",
]


def __getattr__(name: str) -> None:
    raise AttributeError(
        f"tf.summary has no {name!r}; there are {', '.join(__all__)}. Graphs and profiles are not traced: "
        "`distkeras run --timeline` shows what ranks do, str(function.get_concrete_function(...).graph) a graph."
    )
