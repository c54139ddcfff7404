from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras import ops


def _watching(x, **options):
    tape = tf.GradientTape(**options)
    tape.__enter__()
    tape.watch(x)
    return tape


def test_gradients_come_in_the_structure_of_the_sources():
    x, y = tf.constant(2.0), tf.Variable(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        z = x * y * y
    gradients = tape.gradient(z, {"x": x, "rest": (y, [x])})
    assert gradients["x"].numpy() == 9.0 and gradients["rest"][0].numpy() == 12.0
    assert gradients["rest"][1][0].numpy() == 9.0


def test_several_targets_are_summed_and_weighted():
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        targets = [x * x, {"y": 3.0 * x}]
    assert tape.gradient(targets, x).numpy().tolist() == [5.0, 7.0]
    weighted = tape.gradient(targets, x, output_gradients=[tf.constant([1.0, 0.0]), {"y": np.float32([2, 2])}])
    assert weighted.numpy().tolist() == [8.0, 6.0]
    assert tape.gradient(targets[0], x, output_gradients=np.float32([0, 1])).numpy().tolist() == [0.0, 4.0]
    with pytest.raises(ValueError, match=r"must be as its target: expected shape \(2,\)"):
        tape.gradient(targets[0], x, output_gradients=tf.constant(1.0))


def test_a_tape_can_be_used_once_unless_it_is_persistent():
    x = tf.constant(2.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(RuntimeError, match="non-persistent GradientTape can only be used to compute one set"):
        tape.gradient(y, x)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y, z = x * x, x * x * x
    assert tape.gradient(y, x).numpy() == 4.0 and tape.gradient(z, x).numpy() == 12.0


@pytest.mark.parametrize("persistent", [False, True])
def test_a_gradient_may_be_asked_for_while_recording(persistent):
    x = tf.constant(2.0)
    with tf.GradientTape(persistent=persistent) as tape:
        tape.watch(x)
        y = x * x
        assert tape.gradient(y, x).numpy() == 4.0


def test_second_and_third_derivatives():
    x = tf.constant(2.0)
    with tf.GradientTape() as third:
        third.watch(x)
        with tf.GradientTape() as second:
            second.watch(x)
            with tf.GradientTape() as first:
                first.watch(x)
                y = x**4.0
            dy = first.gradient(y, x)
        ddy = second.gradient(dy, x)
    assert (dy.numpy(), ddy.numpy(), third.gradient(ddy, x).numpy()) == (32.0, 48.0, 48.0)


def test_a_persistent_tape_records_its_own_gradients():
    x = tf.constant(3.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        dy = tape.gradient(y, x)
    assert tape.gradient(dy, x).numpy() == 2.0


def test_what_is_watched():
    v, fixed, x = tf.Variable(2.0), tf.Variable(3.0, trainable=False), tf.constant(4.0)
    with tf.GradientTape(persistent=True) as tape:
        y = v * fixed * x
    assert [w is v for w in tape.watched_variables()] == [True]
    assert tape.gradient(y, [v, fixed, x])[1:] == [None, None]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([fixed, {"x": x}])
        y = v * fixed * x
    gradients = tape.gradient(y, [v, fixed, x])
    assert [w is fixed for w in tape.watched_variables()] == [True]  # loops zip them with their gradients
    assert gradients[0] is None and gradients[1].numpy() == 8.0 and gradients[2].numpy() == 6.0
    with pytest.raises(ValueError, match="Passed in object of type ndarray"):
        tf.GradientTape().watch(np.zeros(2))


def test_a_variable_read_several_times_gets_the_sum():
    v = tf.Variable([1.0, 2.0])
    with tf.GradientTape() as tape:
        y = v * v + ops.reduce_sum(v)
    assert tape.gradient(y, v).numpy().tolist() == [4.0, 6.0]


def test_what_was_read_before_the_tape_is_a_constant():
    v = tf.Variable(2.0)
    old = v.value()
    with tf.GradientTape() as tape:
        y = v * old
    assert tape.gradient(y, v).numpy() == 2.0


def test_an_assigned_variable_is_a_source_of_its_own():
    x, v = tf.constant(3.0), tf.Variable(2.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        v.assign(x * 2)
        y = v * v
    gradients = tape.gradient(y, [x, v])
    assert gradients[0] is None and gradients[1].numpy() == 12.0


@pytest.mark.parametrize("how", ["none", "zero"])
def test_unconnected_sources(how):
    x, v = tf.constant([1.0, 2.0]), tf.Variable([1.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    gradient = tape.gradient(y, [x, v], unconnected_gradients=how)[1]
    assert gradient is None if how == "none" else gradient.numpy().tolist() == [0.0]
    with pytest.raises(ValueError, match="must be 'none' or 'zero'"):
        tf.GradientTape().gradient(y, x, unconnected_gradients="nil")


def test_a_source_that_is_on_the_way_and_one_that_is_the_target():
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
        z = y * y
    dz_dy, dz_dx, dz_dz = tape.gradient(z, [y, x, z])
    assert (dz_dy.numpy(), dz_dx.numpy(), dz_dz.numpy()) == (18.0, 108.0, 1.0)


def test_a_target_that_was_not_recorded_has_no_gradient():
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(tf.constant(1.0))
    assert tape.gradient(x, x) is None


def test_integers_stop_gradients():
    x = tf.constant([1.5, 2.5])
    tape = _watching(x)
    y = ops.cast(ops.cast(x, "int32"), "float32") * x
    tape.__exit__()
    assert tape.gradient(y, x).numpy().tolist() == [1.0, 2.0]
    tape = _watching(x)
    y = ops.cast(x, "int32")
    tape.__exit__()
    with pytest.warns(UserWarning, match=r"must be floating \(e.g. tf.float32\), received tf.int32"):
        assert tape.gradient(y, x) is None


def test_stop_recording_and_reset():
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        with tape.stop_recording():
            y = x * x
        z = y * x
    assert tape.gradient(z, x).numpy() == 9.0
    with pytest.raises(ValueError, match="not recording"), tape.stop_recording():
        pass
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
        tape.reset()
        tape.watch(x)
        z = y * x
    assert tape.gradient(z, x).numpy() == 9.0


def test_a_tape_cannot_be_entered_twice():
    with tf.GradientTape() as tape, pytest.raises(ValueError, match="already recording"), tape:
        pass


def test_tapes_side_by_side():
    x = tf.constant(2.0)
    with tf.GradientTape() as one, tf.GradientTape() as two:
        one.watch(x)
        y = x * x
        two.watch(x)
        z = y * x
    assert one.gradient(z, x).numpy() == 12.0
    assert two.gradient(z, x).numpy() == 4.0


def test_only_what_is_asked_for_is_differentiated():
    """An op whose derivative would fail is not on the path to the source."""
    x, w = tf.constant([1.0, 2.0]), tf.constant([0, 1])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = ops.gather(x, w) * x
    assert tape.gradient(y, x).numpy().tolist() == [2.0, 4.0]


# --- jacobians


def _cubes(x, v):
    return ops.stack([ops.reduce_sum(x * x * x, 1), ops.reduce_sum(x, 1) * v], 1)


def test_a_jacobian_has_the_targets_shape_and_then_the_sources():
    x, v = tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.Variable(5.0)

    def jacobians(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = _cubes(x, v)
        return tape.jacobian(y, {"x": x, "v": [v]})

    for run in (jacobians, tf.function(jacobians)):
        found = run(x)
        expected = np.zeros((2, 2, 2, 2))
        for sample in range(2):
            expected[sample, 0, sample] = 3 * x.numpy()[sample] ** 2
            expected[sample, 1, sample] = 5
        np.testing.assert_allclose(found["x"].numpy(), expected)
        np.testing.assert_allclose(found["v"][0].numpy(), [[0, 3], [0, 7]])


def test_a_batch_jacobian_leaves_out_what_samples_do_not_share():
    x, v = tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.Variable(5.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = _cubes(x, v)
        whole = tape.jacobian(y, x)
        each = tape.batch_jacobian(y, x)
        other = tape.batch_jacobian(x * tf.constant(0.0), y)
    np.testing.assert_allclose(each.numpy(), np.einsum("bibj->bij", whole.numpy()))
    assert other is None
    second = tape.batch_jacobian(tf.reshape(each, (2, 4)), x)
    assert second is None  # made after the tape had looked
    with pytest.raises(ValueError, match=r"first dimension of target shape \(2, 2\) and source shape \(\)"):
        tape.batch_jacobian(y, v)


def test_second_order_jacobians():
    x = tf.constant([1.0, 2.0, 3.0])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = ops.reduce_prod(x)
        slope = inner.gradient(y, x)
    assert outer.jacobian(slope, x).numpy().tolist() == [[0.0, 3.0, 2.0], [3.0, 0.0, 1.0], [2.0, 1.0, 0.0]]


def test_what_a_jacobian_gives_for_unconnected_sources_and_used_tapes():
    x, z = tf.constant([1.0, 2.0]), tf.constant([[3.0]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, z])
        y = x * x
    assert tape.jacobian(y, z) is None
    zeros = tape.jacobian(y, z, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    assert zeros.shape == (2, 1, 1) and not zeros.numpy().any()
    assert tape.gradient(y, z, unconnected_gradients=tf.UnconnectedGradients.ZERO).numpy().tolist() == [[0.0]]
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    tape.jacobian(y, x)
    for again in (tape.jacobian, tape.gradient, tape.batch_jacobian):
        with pytest.raises(RuntimeError, match="can only be used to compute one set"):
            again(y, x)
    with pytest.raises(ValueError, match="must be 'none' or 'zero', received 'nil'"):
        tf.GradientTape().jacobian(y, x, unconnected_gradients="nil")


def test_tf_1_gradients_say_what_to_use():
    with pytest.raises(RuntimeError, match="Use tf.GradientTape instead"):
        tf.gradients(1, 2)


def test_jacobian_of_a_scalar():
    x = tf.constant([3.0, 4.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(x * x)
    assert tape.jacobian(y, x).numpy().tolist() == [6.0, 8.0]
