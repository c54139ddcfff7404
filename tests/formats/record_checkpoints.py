"""Makes the checkpoints and the SavedModel in data/ that TensorFlow with tf_keras has written.

Run where TensorFlow and tf-keras are installed:  TF_USE_LEGACY_KERAS=1 python tests/formats/record_checkpoints.py

tfk_ck_MODEL_OPTIMIZER.*   save_weights after two steps of training
tfk_ck_*.npz               inputs x, targets y, predictions p; predictions q after one more step on all samples
tfk_objects-1.*            tf.train.Checkpoint.save
tfk_loop.*                 tf.train.Checkpoint.write of the sequential model and a newer optimizer after a step
tfk_sharded.*              two arrays in two data files
tfk_sm_*                   save(save_format="tf"), without the graphs, which nothing here reads
tf20_ck.*, tf20_sm         written by TensorFlow 2.0.0 (the graphs of the latter were removed too): save_weights and
                           save(save_format="tf") of Input((5, 2), name "b") -> LSTM(3, name "ls") ->
                           BatchNormalization(name "bn") -> Dense(2, name "o"), Adam(0.01), "mse", one epoch
tf20_ckw.npz               its get_weights()
"""

import os
import shutil
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import checkpoint_models
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

DATA = Path(__file__).parent / "data"
SAVED_MODELS = [("functional", "adam"), ("sequential", "newer_adam")]


def optimizers():
    found = checkpoint_models.optimizers(tf, tf.keras.optimizers.legacy)
    newer = tf.keras.optimizers
    found["newer_adam"] = lambda: newer.Adam(0.01)
    found["newer_momentum"] = lambda: newer.SGD(0.05, momentum=0.9)
    return found


def record(model_name, optimizer_name):
    x, y = checkpoint_models.data()
    model = checkpoint_models.MODELS[model_name](tf)
    model.compile(optimizers()[optimizer_name](), "mse")
    for _ in range(2):
        model.train_on_batch(x, y)
    name = f"{model_name}_{optimizer_name}"
    model.save_weights(DATA / f"tfk_ck_{name}")
    if (model_name, optimizer_name) in SAVED_MODELS:
        save_without_graphs(model, DATA / f"tfk_sm_{name}")
    predictions = model.predict(x, verbose=0)
    model.train_on_batch(x, y)
    np.savez_compressed(DATA / f"tfk_ck_{name}.npz", x=x, y=y, p=predictions, q=model.predict(x, verbose=0))


def save_without_graphs(model, folder):
    shutil.rmtree(folder, ignore_errors=True)
    model.save(folder, save_format="tf")
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    saved.meta_graphs[0].graph_def.Clear()
    saved.meta_graphs[0].object_graph_def.concrete_functions.clear()
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString())
    (folder / "fingerprint.pb").unlink()
    (folder / "assets").rmdir()


def record_loop():
    model, optimizer = checkpoint_models.sequential(tf), tf.keras.optimizers.Adam(0.01)
    model.compile(optimizer, "mse")
    model.train_on_batch(*checkpoint_models.data())
    tf.train.Checkpoint(optimizer=optimizer, model=model).write(str(DATA / "tfk_loop"))


def record_shards():
    parts = []
    for name, value in (("a", np.arange(6.0, dtype="float32").reshape(2, 3)), ("b", np.array([b"text", b""], object))):
        parts.append(str(DATA / f"part_{name}"))
        tf.raw_ops.SaveV2(prefix=parts[-1], tensor_names=[name], shape_and_slices=[""], tensors=[value])
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=str(DATA / "tfk_sharded"))


def main():
    tf.keras.utils.set_random_seed(0)
    for model in checkpoint_models.MODELS:
        for optimizer in optimizers():
            if model == "functional" or optimizer in ("adam", "newer_adam"):
                record(model, optimizer)
    saved = checkpoint_models.objects(tf, 1)
    saved.metric.update_state([1.0, 2.0, 6.0])
    saved.save(str(DATA / "tfk_objects"))
    record_loop()
    record_shards()
    (DATA / "checkpoint").unlink()


if __name__ == "__main__":
    main()
