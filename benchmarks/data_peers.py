"""One contestant of `benchmarks.data`: reads batches of a pipeline in a process of its own; see `peers.py`.

Usage: python data_peers.py {distkeras,tf} CASE BATCH_SIZE
"""

from __future__ import annotations

import atexit
import importlib
import os
import sys
import tempfile

from peers import Steps, run  # its neighbour: this is a program, not a part of a package


def main() -> None:
    peer, case, batch_size = sys.argv[1:4]
    run(lambda: reader(importlib.import_module({"tf": "tensorflow"}.get(peer, peer)), case, int(batch_size)))


def reader(tf, case: str, batch_size: int) -> Steps:
    """A function that reads so many batches, of 60,000 images of 28 x 28 bytes and their labels; 6,000 as records."""
    import numpy as np

    if hasattr(tf.config, "threading"):
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.threading.set_intra_op_parallelism_threads(1)
    images = np.random.default_rng(0).integers(0, 256, (60000, 28, 28), np.uint8)
    dataset = tf.data.Dataset.from_tensor_slices((images, np.arange(60000) % 10)).repeat()

    def scaled(image, label):
        return tf.cast(image, tf.float32) / 255.0, label

    def centred(image, label):
        image = tf.cast(image, tf.float32)
        return image - tf.reduce_mean(image), label

    def parsed(record):
        kinds = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}
        found = tf.io.parse_single_example(record, kinds)
        return scaled(tf.reshape(tf.io.decode_raw(found["image"], tf.uint8), [28, 28]), found["label"])

    batches = iter(
        {
            "map": lambda: dataset.map(scaled).batch(batch_size).prefetch(1),
            "shuffle": lambda: dataset.shuffle(10000).map(scaled).batch(batch_size).prefetch(1),
            "batch then map": lambda: dataset.batch(batch_size).map(scaled).prefetch(1),
            "map, not element-wise": lambda: dataset.map(centred).batch(batch_size).prefetch(1),
            "records": lambda: records(tf, images[:6000]).repeat().map(parsed).batch(batch_size).prefetch(1),
        }[case]()
    )

    def steps(count: int) -> None:
        for _ in range(count):
            next(batches)

    return steps


def records(tf, images):
    """A dataset of a TFRecord file of images and labels, which is removed when the process ends."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    path = os.path.join(folder.name, "images.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for number, image in enumerate(images):
            feature = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[number % 10])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    return tf.data.TFRecordDataset(path)


if __name__ == "__main__":
    main()
