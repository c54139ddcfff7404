"""Records SavedModels that TensorFlow has written, with what they make of some inputs: data/tfk_saved_models.npz.

Run where TensorFlow and tf_keras are:  TF_USE_LEGACY_KERAS=1 python tests/formats/record_saved_models.py

    FOLDER/FILE          the bytes of a file
    operations:NAME:in0  ...  what a function of the module `operations` takes; out0 ... what it gives
    net:x, y, p, e       inputs and targets of the model, what it predicts, and [loss, mae] that it evaluates to
"""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tensorflow as tf

TARGET = Path(__file__).parent / "data" / "tfk_saved_models.npz"


def normal(*shape):
    return np.random.default_rng(len(shape) + sum(shape)).standard_normal(shape).astype("float32")


def moving(x):
    rows = tf.shape(x)[0]
    parts = tf.split(tf.reshape(x, [rows, 3, 4]), 3, axis=1) + tf.split(tf.reshape(x, [rows, 3, 4]), [1, 2], 1)
    y = tf.concat([*parts, tf.expand_dims(tf.stack(tf.unstack(x, axis=1)[:4], 1), 1)], 1)
    y = tf.pad(tf.pad(y, [[0, 0], [1, 0], [0, 0]], constant_values=2.0), [[0, 0], [0, 0], [2, 1]], "REFLECT")
    y = tf.roll(tf.reverse(tf.tile(y, [1, 2, 1]), [2]), 1, 1)[:, ::-2, tf.newaxis, 1:-1]
    return tf.squeeze(tf.slice(y, [0, 1, 0, 0], [-1, 4, 1, 3]), [2]) + y[..., 0, :3][:, :4]


def picking(x):
    chosen = tf.gather(x, [2, 0], axis=1) + tf.gather_nd(x, [[1], [0]])[:, :2]
    spread = tf.scatter_nd([[1], [3]], x[:2, 0], [5]) + tf.linspace(0.0, 1.0, 5) + tf.cast(tf.range(5), tf.float32)
    hot = tf.one_hot(tf.argmax(x, 1), 12, 2.0, -1.0) + tf.fill(tf.shape(x), 0.5) + tf.eye(2, 12)
    updated = tf.tensor_scatter_nd_update(x, [[0]], tf.ones([1, 12]))
    updated = tf.tensor_scatter_nd_sub(tf.tensor_scatter_nd_add(updated, [[1]], x[:1]), [[0]], x[1:])
    return chosen, spread, hot, updated, tf.reverse_sequence(x, [3, 5], 1)


def reducing(x):
    y = tf.reduce_mean(x, 1) + tf.reduce_max(x, -1) - tf.reduce_min(x, 1) + tf.reduce_prod(x, 1) + tf.norm(x, axis=1)
    y += tf.math.reduce_euclidean_norm(x, 1) + tf.reduce_sum(x)
    y += tf.cast(tf.reduce_any(x > 1, 1) | tf.reduce_all(x < 2, 1), tf.float32) + tf.nn.l2_loss(x)
    top = tf.math.top_k(x, 2)
    running = tf.cumsum(x, 1, exclusive=True) + tf.math.cumprod(x, 1, reverse=True)
    return y, top.values, top.indices, running, tf.argmin(x, 1, tf.int32), tf.math.unsorted_segment_sum(x, [1, 1], 3)


def bending(x):
    y = tf.nn.elu(x) + tf.nn.selu(x) + tf.nn.relu6(3 * x) + tf.nn.leaky_relu(x, 0.3) + tf.nn.softsign(x)
    y += tf.math.rint(x) + tf.math.digamma(tf.abs(x)) + tf.clip_by_value(x, -0.5, 0.5) + tf.where(x > 0, x, -x)
    y += tf.zeros_like(x) + tf.ones_like(x) + tf.add_n([x, x, y]) + tf.math.log_softmax(x) + tf.nn.softmax(x)
    return y + tf.cast(tf.math.logical_xor(x > 0, x > 1), tf.float32) + tf.stop_gradient(x)


def products(x):
    square = tf.matmul(x, x, transpose_b=True)
    band = tf.linalg.band_part(square, 0, -1) + tf.linalg.diag(tf.linalg.diag_part(square))
    band = tf.linalg.set_diag(band, x[:, 0])
    cubes = tf.reshape(x, [2, 3, 4])
    return band, tf.einsum("bij,bkj->bik", cubes, cubes) + tf.matmul(cubes, cubes, adjoint_b=True)


FILTERS = {
    "images": normal(3, 3, 2, 4),
    "apart": normal(3, 3, 2, 2),
    "back": normal(3, 3, 3, 2),
    "volumes": normal(2, 2, 2, 2, 3),
    "deep": normal(2, 2, 2, 1, 2),
}


def images(x):
    y = tf.nn.conv2d(x, FILTERS["images"], 2, "SAME")
    y = tf.nn.bias_add(y, [1.0, 2.0, 3.0, 4.0])
    y += tf.nn.conv2d(x, FILTERS["images"], 2, [[0, 0], [1, 1], [1, 1], [0, 0]])
    wide = tf.nn.conv2d(x, FILTERS["images"], 1, "VALID", dilations=2)
    blocks = tf.space_to_batch(x, [2, 2], [[0, 0], [2, 2]])
    old = tf.batch_to_space(tf.nn.conv2d(blocks, FILTERS["images"], 1, "VALID"), [2, 2], [[1, 0], [0, 1]])
    apart = tf.nn.depthwise_conv2d(x, FILTERS["apart"], [1, 1, 1, 1], "SAME")
    back = tf.nn.conv2d_transpose(x, FILTERS["back"], [2, 16, 16, 3], 2, "SAME")
    pooled = tf.nn.max_pool2d(x, 2, 2, "VALID") + tf.nn.avg_pool2d(x, 3, 2, "SAME")
    return y, wide, old, apart, back, pooled, tf.nn.local_response_normalization(x)


def sizes(x):
    blocks = tf.nn.depth_to_space(tf.nn.space_to_depth(x, 2), 2)
    methods = ("bilinear", "nearest", "bicubic")
    return (blocks, *(tf.image.resize(x, [5, 11], method) for method in methods))


def volumes(x):
    y = tf.nn.conv3d(x, FILTERS["volumes"], [1, 1, 1, 1, 1], "SAME")
    back = tf.nn.conv3d_transpose(x, FILTERS["deep"], [1, 8, 8, 8, 1], [1, 2, 2, 2, 1], "SAME")
    return y, back, tf.nn.max_pool3d(x, 2, 2, "VALID") + tf.nn.avg_pool3d(x, 2, 2, "SAME")


def normalising(x):
    ones, zeros = tf.ones(2), tf.zeros(2)
    trained = tf.compat.v1.nn.fused_batch_norm(x, ones * 2, zeros + 1, epsilon=0.01)
    fixed, *_ = tf.compat.v1.nn.fused_batch_norm(x, ones, zeros, zeros + 0.5, ones * 3, is_training=False)
    return (*trained, fixed)


def losses(x):
    labels = tf.nn.softmax(-x)
    one = tf.nn.softmax_cross_entropy_with_logits(labels, x)
    return one + tf.nn.sparse_softmax_cross_entropy_with_logits([1, 3], x)


def branches(x):
    y = tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2, lambda: x - 1)
    return y + tf.switch_case(tf.cast(tf.reduce_max(x), tf.int32), [lambda: x, lambda: x * x, lambda: -x])


def loops(x):
    _, doubled = tf.while_loop(lambda i, v: tf.reduce_sum(tf.abs(v)) < 50, lambda i, v: (i + 1, v * 2), [0, x])
    array = tf.TensorArray(tf.float32, size=3)
    _, array, _ = tf.while_loop(lambda i, a, v: i < 3, lambda i, a, v: (i + 1, a.write(i, v), v * 2), [0, array, x[0]])
    listed = tf.TensorArray(tf.float32, size=0, dynamic_size=True).unstack(x)
    return doubled, array.stack(), tf.map_fn(lambda row: row * 2, x), listed.read(1), listed.size()


def older(x):
    """By the operations' own names: those that earlier versions write, or that nothing else here needs."""
    raw = tf.raw_ops
    y = raw.Add(x=x, y=x + 9) + raw.Inv(x=x + 9) + raw.Relu(features=x)
    y += raw.Softplus(features=raw.ClipByValue(t=x, clip_value_min=-0.5, clip_value_max=0.5))
    y += raw.Pad(input=x[:, :10], paddings=[[0, 0], [1, 1]])
    y = raw.EnsureShape(input=y, shape=[None, 12]) + raw.LinSpace(start=0.0, stop=1.0, num=12)
    y += tf.cast(raw.Rank(input=x) + raw.Size(input=x) + raw.ShapeN(input=[x, y])[1][0], tf.float32)
    cubes = tf.reshape(x, [2, 3, 4])
    z = raw.BatchMatMul(x=cubes, y=cubes, adj_y=True) + raw.BatchMatMulV3(x=cubes, y=cubes, Tout=tf.float32, adj_y=True)
    z += raw.MatrixSetDiag(input=z, diagonal=raw.MatrixDiagPart(input=z)) + raw.MatrixDiag(diagonal=cubes[:, :, 0])
    flat = raw.DiagPart(input=raw.Diag(diagonal=x[0]))
    listed = raw.EmptyTensorList(element_shape=[12], max_num_elements=-1, element_dtype=tf.float32)
    listed = raw.TensorListPushBack(input_handle=raw.TensorListPushBack(input_handle=listed, tensor=x[0]), tensor=x[1])
    stacked = raw.TensorListStack(input_handle=listed, element_shape=[12], element_dtype=tf.float32)
    pictures, ones = tf.reshape(x, [2, 2, 3, 2]), tf.ones(2)
    how = {"x": pictures, "scale": ones, "offset": ones, "mean": ones, "variance": ones, "is_training": False}
    normal = raw.FusedBatchNorm(**how)[0] + raw.FusedBatchNormV2(**how)[0]
    raw.Assert(condition=tf.reduce_all(x < 100), data=[x])
    return y, z, flat, stacked, raw.TensorListLength(input_handle=listed), normal


def noise(x):
    drawn = tf.random.truncated_normal(tf.shape(x), dtype=x.dtype)
    return tf.shape(tf.random.normal([3, 2])), tf.reduce_all(tf.abs(drawn) < 2.1)


@tf.function
def inner(x):
    return tf.identity_n([x, x + 1])


FUNCTIONS = {
    "moving": (moving, normal(2, 12)), "picking": (picking, normal(2, 12)), "reducing": (reducing, normal(2, 12)),
    "bending": (bending, normal(2, 12)), "products": (products, normal(2, 12)), "images": (images, normal(2, 8, 8, 2)),
    "sizes": (sizes, normal(2, 8, 8, 4)), "volumes": (volumes, normal(1, 4, 4, 4, 2)),
    "normalising": (normalising, normal(3, 4, 4, 2)), "losses": (losses, normal(2, 12)),
    "branches": (branches, normal(2, 12)), "loops": (loops, normal(2, 12)),
    "older": (older, normal(2, 12)), "noise": (noise, normal(2, 12)), "calls": (lambda x: inner(x * 2), normal(2)),
}  # fmt: skip


class Operations(tf.Module):
    def __init__(self):
        super().__init__()
        self.total = tf.Variable(tf.zeros([2]))
        self.table = tf.Variable(normal(4, 2))

    @tf.function(input_signature=[tf.TensorSpec([2]), tf.TensorSpec([None], tf.int32)])
    def update(self, x, rows):
        """Reads and writes in order."""
        self.total.assign_add(x)
        self.total.assign_sub(x / 2)
        return {"total": self.total * 2, "rows": tf.nn.embedding_lookup(self.table, rows)}

    @tf.function(input_signature=[tf.TensorSpec([None])])
    def places(self, x):
        return tf.where(x > 0)

    @tf.function(input_signature=[tf.TensorSpec([])])
    def update_in_branches_and_loops(self, x):
        tf.cond(x > 0, lambda: self.total.assign_add([1.0, 1.0]), lambda: self.total.assign_sub([1.0, 1.0]))
        one, two = (lambda step=step: self.total.assign_add([step, step]) for step in (10.0, 20.0))
        tf.switch_case(tf.cast(x, tf.int32), [one, two])

        def again(i):
            with tf.control_dependencies([self.total.assign_add([100.0, 100.0])]):
                return [i + 1]

        rounds = tf.while_loop(lambda i: i < 3, again, [x])
        ready = tf.raw_ops.VarIsInitializedOp(resource=self.total.handle)
        return rounds, ready, tf.raw_ops.VariableShape(input=self.total.handle), self.total.read_value()

    @tf.function(input_signature=[tf.TensorSpec([None, None])])
    def unknown(self, x):
        return tf.signal.fft(tf.cast(x, tf.complex64))

    @tf.function
    def optional(self, x, scale=2.0, *, flag=False):
        return x * scale if flag else x + scale


class Block(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.dense = tf.keras.layers.Dense(4, kernel_regularizer="l2")
        self.normal = tf.keras.layers.BatchNormalization()
        self.drop = tf.keras.layers.Dropout(0.5)

    def call(self, x, training=None):
        return self.drop(self.normal(self.dense(x), training=training), training=training)


class Net(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.block = Block()
        self.recurrent = tf.keras.layers.LSTM(3)
        self.head = tf.keras.layers.Dense(2)

    def call(self, x, training=None):
        y = self.block(x, training=training)
        self.add_loss(0.1 * tf.reduce_mean(y * y))
        return self.head(self.recurrent(y))


def record(folder, found):
    module = Operations()
    for name, (function, x) in FUNCTIONS.items():
        compiled = tf.function(function, input_signature=[tf.TensorSpec([None, *x.shape[1:]])])
        setattr(module, name, compiled)
        found[f"operations:{name}:in0"] = x
        for place, value in enumerate(tf.nest.flatten(compiled(x))):
            found[f"operations:{name}:out{place}"] = value.numpy()
    module.optional(tf.constant([1.0]))
    module.optional(tf.constant([1.0]), flag=True)
    tf.saved_model.save(module, f"{folder}/operations", signatures={"update": module.update})

    x, y = normal(8, 5, 3), normal(8, 2)
    model = Net()
    model.compile(tf.keras.optimizers.legacy.Adam(0.01), "mse", metrics=["mae"])
    model.fit(x, y, epochs=2, verbose=0)
    found |= {"net:x": x, "net:y": y, "net:p": model.predict(x, verbose=0), "net:e": model.evaluate(x, y, verbose=0)}
    model.save(f"{folder}/net", save_format="tf")


def main():
    tf.keras.utils.set_random_seed(1)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        record(folder, found)
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and path.name != "fingerprint.pb":
                found[str(path.relative_to(folder))] = np.frombuffer(path.read_bytes(), np.uint8)
    np.savez_compressed(TARGET, **found)
    print(TARGET, TARGET.stat().st_size)


if __name__ == "__main__":
    main()
