"""Records files and messages that TensorFlow wrote: `python record_records.py` where there is TensorFlow."""

import base64
import json
import os
import tempfile
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf

RECORDS = [b"", b"one", bytes(range(256)) * 5]
TENSORS = {
    "float32": np.array([[1.5, -2.0], [np.inf, 0.0]], np.float32),
    "int64": np.array([2**40, -1]),
    "uint8": np.arange(5, dtype=np.uint8),
    "bool": np.array(True),
    "float16": np.array([0.5], np.float16),
    "string": np.array([b"a", b"\x00b\x00"], object),
}


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def main() -> None:
    recorded = {"files": {}, "tensors": {}, "examples": {}}
    folder = tempfile.mkdtemp()
    for kind in ("", "GZIP", "ZLIB"):
        path = os.path.join(folder, f"file{kind}")
        with tf.io.TFRecordWriter(path, tf.io.TFRecordOptions(kind)) as writer:
            for record in RECORDS:
                writer.write(record)
        recorded["files"][kind] = text(Path(path).read_bytes())
    for name, array in TENSORS.items():
        recorded["tensors"][name] = text(tf.io.serialize_tensor(tf.constant(array)).numpy())
    train = tf.train
    features = {
        "ints": train.Feature(int64_list=train.Int64List(value=[0, 1, -1, 300, 2**40, -(2**63)])),
        "floats": train.Feature(float_list=train.FloatList(value=[1.5, -2.25, 0.1])),
        "bytes": train.Feature(bytes_list=train.BytesList(value=[b"x", b"", b"\x00\xff"])),
        "empty": train.Feature(),
        "no_ints": train.Feature(int64_list=train.Int64List()),
    }
    for name, feature in features.items():
        example = train.Example(features=train.Features(feature={name: feature}))
        recorded["examples"][name] = {"bytes": text(example.SerializeToString()), "text": str(example)}
    everything = train.Example(features=train.Features(feature=features))
    recorded["examples"]["everything"] = {"bytes": text(everything.SerializeToString()), "text": None}
    (Path(__file__).parent / "data" / "records.json").write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    main()
