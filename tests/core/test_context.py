from __future__ import annotations

import threading

import numpy as np

import distkeras as tf
from distkeras.core import context
from distkeras.core.random_state import (
    global_seed,
    new_stream,
    next_numpy_generator,
    next_step_state,
    set_seed,
    step_state,
)
from distkeras.graph.function import Function


def test_a_function_is_not_executed_eagerly_but_init_scope_is():
    seen = []

    def function(x):
        seen.append(context.executing_eagerly())
        with context.init_scope():
            seen.append(context.executing_eagerly())
            seen.append(float(tf.constant(1.0) + 1))
        return x

    assert context.executing_eagerly()
    Function(function)(tf.constant(1.0))
    assert seen == [False, True, 2.0] and context.executing_eagerly()


def test_init_scope_leaves_tapes():
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        with tf.init_scope():
            y = x * x
        z = y * x
    assert tape.gradient(z, x).numpy() == 9.0


def test_an_error_while_tracing_leaves_nothing_behind():
    def function(x):
        raise KeyError("user's")

    with np.testing.assert_raises(KeyError):
        Function(function)(tf.constant(1.0))
    assert context.executing_eagerly() and context.state.tapes == []


def test_every_thread_has_a_context_of_its_own():
    seen = []

    def function(x):
        thread = threading.Thread(target=lambda: seen.append(context.executing_eagerly()))
        thread.start()
        thread.join()
        return x

    Function(function)(tf.constant(1.0))
    assert seen == [True]


def test_replicas():
    replica = context.Replica(share=0.5)
    with context.on_replica(replica):
        assert context.state.replica is replica
    alone = context.state.replica
    assert alone.num_replicas_in_sync == 1 and alone.replica_id_in_sync_group == 0 and alone.share is None
    array = np.float32([1, 2])
    alone.allreduce(array)
    assert array.tolist() == [1, 2] and alone.parts(7) == [slice(0, 7)]
    parts = np.array([[3.0, 1.0, 2.0]])
    assert alone.merge_moments(parts).tolist() == [3, 1, 2]
    assert [total.tolist() for total in alone.sum_parts(parts)] == [[3, 1, 2]] * 2


# --- random state


def test_the_seed_brings_back_streams_and_draws():
    def draws():
        return new_stream(), new_stream(), next_step_state().tolist(), next_numpy_generator().random()

    set_seed(3)
    first = draws()
    assert global_seed() == 3
    set_seed(3)
    assert draws() == first
    set_seed(4)
    assert draws()[2:] != first[2:]


def test_streams_with_a_seed_are_that_seed_and_others_are_none_of_these():
    assert new_stream(5) == new_stream(5) == 5
    assert new_stream() > 0x7FFFFFFF and new_stream() != new_stream()
    assert next_numpy_generator(7).random() == next_numpy_generator(7).random()
    assert next_numpy_generator().random() != next_numpy_generator().random()


def test_the_state_of_a_step_is_the_replicas():
    state = tf.constant(np.int64([1, 2, 3]))
    with context.on_replica(context.Replica(random_state=state)):
        assert step_state() is state
    assert step_state().numpy().tolist() != step_state().numpy().tolist()
