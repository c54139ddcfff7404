"""`tf.version`: which TensorFlow's names and behaviour these are, and which distkeras."""

from distkeras import __version__

VERSION, DISTKERAS_VERSION = __version__.split("+distkeras.")
COMPILER_VERSION = "numba"
GIT_VERSION = "v2.0.0"
GRAPH_DEF_VERSION = 119
GRAPH_DEF_VERSION_MIN_CONSUMER = 0
GRAPH_DEF_VERSION_MIN_PRODUCER = 0
