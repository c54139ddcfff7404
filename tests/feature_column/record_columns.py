"""Writes data/columns.npz: what TensorFlow's columns make of features. Needs TensorFlow and tf_keras.

Usage, in the project's folder: TF_USE_LEGACY_KERAS=1 python -m tests.feature_column.record_columns
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.feature_column.cases import FEATURES, columns, joined

features = {name: tf.constant(value) for name, value in FEATURES.items()}
values = {name: tf.keras.layers.DenseFeatures([column])(features).numpy() for name, column in columns(tf).items()}
values["joined"] = tf.keras.layers.DenseFeatures(joined(tf))(features).numpy()
np.savez_compressed(Path(__file__).parent / "data" / "columns.npz", **values)
