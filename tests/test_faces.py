"""Names of `tf` that configure, or that have little to do here: they do what is possible, and refuse the rest."""

from __future__ import annotations

import collections

import pytest

import distkeras as tf


def test_devices():
    (cpu,) = tf.config.experimental.list_physical_devices("CPU")
    assert tf.config.experimental.list_physical_devices("GPU") == [] == tf.config.list_logical_devices("GPU")
    assert tf.config.list_physical_devices() == [cpu] == tf.config.experimental.get_visible_devices()
    assert tf.config.experimental.list_logical_devices("CPU")[0].name == "/device:CPU:0"
    tf.config.experimental.set_visible_devices([], "GPU")
    tf.config.experimental.set_visible_devices(cpu)
    tf.config.experimental.set_memory_growth(cpu, True)
    assert tf.config.experimental.get_memory_growth(cpu)
    tf.config.experimental.set_virtual_device_configuration(cpu, [tf.config.experimental.VirtualDeviceConfiguration()])
    assert tf.config.experimental.get_virtual_device_configuration(cpu) is None
    tf.config.set_soft_device_placement(False)
    assert tf.config.get_soft_device_placement() is False
    tf.config.set_soft_device_placement(True)
    with tf.device("/GPU:1"):
        assert tf.constant(1.0).device.endswith("CPU:0")


def test_errors_of_operations_have_one_base_and_a_message():
    with pytest.raises(tf.errors.OpError) as caught:
        tf.reshape([1, 2], [3])
    assert isinstance(caught.value, tf.errors.InvalidArgumentError) and caught.value.message == str(caught.value)
    with pytest.raises(tf.errors.OpError, match="no_such_file"):
        tf.io.read_file("no_such_file")


def test_where_operations_run_is_said_once(capsys):
    assert tf.debugging.get_log_device_placement() is False
    for _ in range(2):
        tf.debugging.set_log_device_placement(True)
    assert capsys.readouterr().err.count("device:CPU:0") == 1
    tf.debugging.set_log_device_placement(False)


def test_threads_and_compiling():
    assert tf.config.threading.get_inter_op_parallelism_threads() >= 1
    with pytest.warns(UserWarning, match="settled when the process starts"):
        tf.config.threading.set_intra_op_parallelism_threads(2)
    tf.config.optimizer.set_jit(True)
    tf.config.optimizer.set_experimental_options({"layout_optimizer": False})
    assert tf.config.optimizer.get_jit() and tf.config.optimizer.get_experimental_options()["layout_optimizer"] is False
    seen = []
    function = tf.function(lambda x: seen.append(1) or x)
    tf.config.experimental_run_functions_eagerly(True)
    try:
        [function(tf.constant(1.0)) for _ in range(3)]
    finally:
        tf.config.experimental_run_functions_eagerly(False)
    assert len(seen) == 3


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda: tf.config.experimental.set_visible_devices([], "CPU"), ValueError, "cannot be left out"),
        (lambda: tf.config.experimental.set_memory_growth("gpu", True), ValueError, "there is no device"),
        (
            lambda: tf.config.experimental.set_virtual_device_configuration(
                tf.config.list_physical_devices()[0], [tf.config.experimental.VirtualDeviceConfiguration()] * 2
            ),
            ValueError,
            "distkeras run -n 2",
        ),
        (lambda: tf.config.experimental_connect_to_cluster("x"), NotImplementedError, "distkeras run"),
        (lambda: tf.autograph.to_code(print), NotImplementedError, "get_concrete_function"),
        (lambda: tf.autograph.to_graph(print), NotImplementedError, "not rewritten"),
        (lambda: tf.ragged.cross, AttributeError, "to_tensor"),
        (lambda: tf.Session, AttributeError, "operations run at once"),
        (lambda: tf.compat.v1.Session, AttributeError, "operations run at once"),
        (lambda: tf.nonsense, AttributeError, r"see dir\(distkeras\)"),
    ],
)
def test_what_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_what_tf_1_needed_to_order_operations():
    v = tf.Variable(1.0)

    @tf.function
    def step(x):
        with tf.control_dependencies([v.assign_add(x)]):
            return tf.group(tf.no_op()), tf.identity(v), tf.identity_n([x, v])

    assert step(tf.constant(2.0))[1].numpy() == 3.0
    with pytest.raises(ValueError, match="Unknown keyword"):
        tf.group(x=1)


def test_what_scripts_call_to_leave_tf_1_behind(caplog):
    v1 = tf.compat.v1
    v1.enable_eager_execution()
    v1.enable_v2_behavior()
    assert v1.global_variables_initializer() is None and v1.reduce_sum is tf.reduce_sum
    for refused in (v1.disable_eager_execution, v1.disable_v2_behavior):
        with pytest.raises(NotImplementedError, match="graphs and sessions of TF 1 are not available"):
            refused()
    v1.set_random_seed(3)
    first = tf.random.normal((2,)).numpy()
    tf.random.set_seed(3)
    assert (tf.random.normal((2,)).numpy() == first).all()
    level = tf.get_logger().level
    v1.logging.set_verbosity(v1.logging.ERROR)
    v1.logging.warn("not shown")
    v1.logging.error("shown")
    tf.get_logger().setLevel(level)
    assert [record.message for record in caplog.records] == ["shown"]


def test_autograph_leaves_functions_alone():
    def function(x):
        return x + 1

    assert tf.autograph.experimental.do_not_convert(function) is function
    assert tf.autograph.experimental.do_not_convert()(function) is function
    tf.autograph.set_verbosity(3)


def test_versions():
    assert tf.version.VERSION == "2.0.0" and tf.__version__ == f"2.0.0+distkeras.{tf.version.DISTKERAS_VERSION}"


def test_nested_structures():
    Point = collections.namedtuple("Point", "x y")
    structure = {"b": [1, (2,)], "a": Point(3, 4)}
    assert tf.nest.flatten(structure) == [3, 4, 1, 2] and tf.nest.is_nested([]) and not tf.nest.is_nested("ab")
    assert tf.nest.pack_sequence_as(structure, [1, 2, 3, 4]) == {"b": [3, (4,)], "a": Point(1, 2)}
    assert tf.nest.map_structure(lambda *x: sum(x), (1, [2]), (10, [20])) == (11, [22])
    tf.nest.assert_same_structure([1, 2], (1, 2), check_types=False)
    with pytest.raises(TypeError, match="same sequence types"):
        tf.nest.assert_same_structure([1, 2], (1, 2))
    with pytest.raises(ValueError, match="structures differ"):
        tf.nest.assert_same_structure([1, 2], [1])
    with pytest.raises(TypeError, match="func must be callable"):
        tf.nest.map_structure(1, [2])
    with pytest.raises(ValueError, match="at least one structure"):
        tf.nest.map_structure(abs)
    with pytest.raises(ValueError, match="keyword arguments"):
        tf.nest.map_structure(abs, [1], check=True)


def test_the_element_types_are_in_dtypes():
    assert tf.dtypes.float32 is tf.float32 and tf.dtypes.half is tf.float16 and tf.dtypes.bool is tf.bool
    assert tf.UnconnectedGradients("zero") is tf.UnconnectedGradients.ZERO


FACES = "layers losses metrics optimizers callbacks models utils applications backend datasets".split()


@pytest.mark.parametrize("face", [tf, tf.keras, tf.data, tf.distribute, *(getattr(tf.keras, name) for name in FACES)])
def test_completion_offers_names_of_the_interface(face):
    """Helper modules, and what they import, are reached by their own paths."""
    assert dir(face) == sorted(face.__all__)
    assert not {"Any", "annotations", "importlib", "call_context", "np"} & set(dir(face))
    assert all(getattr(face, name, face) is not face for name in dir(face))


def test_datasets_are_where_the_package_is_too():
    from distkeras.datasets import fashion_mnist

    assert tf.datasets.fashion_mnist is fashion_mnist is tf.keras.datasets.fashion_mnist


def test_what_tests_of_tensorflow_scripts_use():
    assert not tf.test.is_gpu_available() and not tf.test.is_built_with_cuda() and tf.test.gpu_device_name() == ""
    x, y = tf.constant([1.0, 2.0]), tf.constant([3.0, 4.0])
    by_tape, by_differences = tf.test.compute_gradient(lambda x, y: x * x * y, [x, y], delta=1 / 128)
    assert by_tape[0].tolist() == [[6.0, 0.0], [0.0, 16.0]] and by_tape[1].tolist() == [[1.0, 0.0], [0.0, 4.0]]
    for exact, estimate in zip(by_tape, by_differences, strict=True):
        assert abs(exact - estimate).max() < 1e-2

    class Case(tf.test.TestCase):
        def test_alike(self):
            self.assertAllEqual(tf.constant([1, 2]), [1, 2])
            self.assertAllClose({"a": tf.constant(1.0)}, {"a": 1.0 + 1e-7})
            self.assertNotAllClose([1.0], [1.1])
            self.assertShapeEqual(tf.ones(2), tf.zeros(2))
            self.assertDTypeEqual(tf.ones(2), "float32")
            assert self.evaluate({"v": tf.Variable(2.0)}) == {"v": 2.0}

        def test_different(self):
            for wrong in (lambda: self.assertAllEqual([1], [2]), lambda: self.assertAllClose([1.0], [[1.0]])):
                self.assertRaises(AssertionError, wrong)

    assert Case("test_alike").run().wasSuccessful() and Case("test_different").run().wasSuccessful()


def test_errors_that_scripts_catch_have_names():
    assert issubclass(tf.errors.ResourceExhaustedError, tf.errors.OpError)
    assert not issubclass(tf.errors.AbortedError, tf.errors.UnavailableError)


def test_loops_with_options_run_as_python():
    @tf.function
    def grown(n):
        found = tf.ones([1])
        for _ in tf.range(n):
            tf.autograph.experimental.set_loop_options(shape_invariants=[(found, tf.TensorShape([None]))])
            found = tf.concat([found, found[-1:] * 2], 0)
        return found

    with pytest.warns(UserWarning, match="runs step by step"):
        assert grown(tf.constant(3)).numpy().tolist() == [1, 2, 4, 8]
    with pytest.raises(ValueError, match="maximum_iterations"):
        tf.autograph.experimental.set_loop_options(maximum_iterations=3)


def test_limits_of_element_types():
    assert (tf.uint8.limits, tf.float32.limits, tf.int8.limits) == ((0, 255), (0, 1), (-128, 127))


def test_averages_of_variables_inside_of_functions():
    averages, v = tf.train.ExponentialMovingAverage(0.75), tf.Variable([1.0], name="v")

    @tf.function
    def step():
        averages.apply([v])
        v.assign_add([4.0])

    assert averages.average(v) is None
    step()
    step()
    assert averages.average(v).numpy().tolist() == [2.0] and averages.average_name(v) == "v/ExponentialMovingAverage"
    assert not averages.average(v).trainable
    with pytest.raises(TypeError, match="variables of floating-point numbers"):
        averages.apply([tf.constant(1.0)])
