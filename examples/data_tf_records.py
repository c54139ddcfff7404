"""Write digits into TFRecord files, and train on them through `tf.data`.

    python examples/data_tf_records.py                   one process
    distkeras run -n 2 examples/data_tf_records.py       two ranks: one reads, each takes its rows of every batch

Data, network and arguments are in digits.py.
"""

from __future__ import annotations

import os
import tempfile

import digits
import numpy as np

import distkeras as tf


def main() -> None:
    options = digits.parser_of(__doc__).parse_args()
    tf.random.set_seed(options.seed)
    strategy = tf.distribute.MirroredStrategy()
    with tempfile.TemporaryDirectory() as folder:  # each rank writes what it may have to read
        write_data(folder)
        training = read_data(f"{folder}/train-*").shuffle(2000, seed=options.seed).batch(options.batch_size).prefetch(1)
        test = read_data(f"{folder}/test-*").batch(options.batch_size)
        with strategy.scope():
            model = digits.network()
        model.fit(training, epochs=options.epochs, verbose=2 if strategy.rank == 0 else 0)
        digits.print_scores(model, strategy, test)


def write_data(folder: str) -> None:
    """Four files of digits to train on, one to test."""
    data = digits.load()
    for number, name in enumerate(["test-0", "train-0", "train-1", "train-2", "train-3"]):
        with tf.io.TFRecordWriter(os.path.join(folder, name)) as writer:
            for image, label in zip(data.images[number::5], data.target[number::5], strict=True):
                features = {
                    "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.astype(np.uint8).tobytes()])),
                    "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(label)])),
                }
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def read_data(pattern: str) -> tf.data.Dataset:
    """The digits of the files that match a pattern, four files at a time in turns."""
    files = tf.data.Dataset.list_files(pattern, shuffle=False)
    return files.interleave(tf.data.TFRecordDataset, cycle_length=4).map(parse).cache().map(scale)


def parse(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A record's image and label."""
    kinds = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}
    parsed = tf.io.parse_single_example(record, kinds)
    return tf.reshape(tf.io.decode_raw(parsed["image"], tf.uint8), [8, 8, 1]), parsed["label"]


def scale(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Pixels from 0 to 1."""
    return tf.cast(image, tf.float32) / 16.0, label


if __name__ == "__main__":
    main()
