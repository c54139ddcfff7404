"""Datasets: `tf.data` as TensorFlow has it, over arrays, files and generators."""
