"""Ranks of a node share weights and slots: one copy, the results of one process, left before anything else writes."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import distkeras as tf
from benchmarks import node_memory
from distkeras import _settings
from distkeras.cli import _communication
from distkeras.distribute import node, waiting
from distkeras.distribute.agreement import same_on_all_ranks
from distkeras.distribute.journal import Journal
from distkeras.distribute.mpi import MpiCommunicator
from distkeras.distribute.shared_arena import SharedReducer
from distkeras.distribute.strategies import Strategy
from distkeras.keras.optimizers import arena

RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(23, 6)).astype("float32")
Y = RANDOM.integers(0, 3, 23)
LOSS = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)

several = pytest.mark.skipif(not _settings.current().shared_arenas, reason="shared_arenas is off")


def make(strategy, optimizer=None, model_class=tf.keras.Sequential):
    with strategy.scope():
        norm = tf.keras.constraints.MaxNorm(0.6)
        layers = [
            tf.keras.layers.Dense(40, activation="tanh", kernel_constraint=norm, kernel_initializer=init(1)),
            tf.keras.layers.Dense(3, kernel_initializer=init(2)),
        ]
        model = model_class(layers)
        model.build((None, 6))
        model.compile(optimizer or tf.keras.optimizers.Adam(0.01), LOSS)
    return model


def init(seed):
    return lambda shape, dtype=None: np.random.default_rng(seed).normal(size=shape).astype("float32") * 0.4


def sharing(model):
    return [isinstance(group._exchange, SharedReducer) for group in model.optimizer.groups]


def check_alike(communicator, model, expected):
    for one, other in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    state = [*model.get_weights(), *model.optimizer.get_weights()]
    assert same_on_all_ranks(communicator, [np.asarray(array).tobytes() for array in state])


def both(train, communicator, **options):
    """A model trained by one process, and one by all ranks; checked to be the same."""
    alone, together = make(tf.distribute.OneDeviceStrategy()), make(tf.distribute.MirroredStrategy(), **options)
    train(alone)
    train(together)
    check_alike(communicator, together, alone)
    return together


@several
@pytest.mark.mpi(min_size=2)
def test_variables_and_slots_are_one_copy(communicator):
    model = both(lambda model: model.fit(X, Y, batch_size=10, epochs=2, verbose=0), communicator)
    assert sharing(model) == [True]
    group = model.optimizer.groups[0]
    for variable in [model.weights[0], *(made[0] for made in group.slot_variables.values())]:
        communicator.barrier()
        if communicator.rank == 0:
            variable._array[0, 0] = 7.5
        communicator.barrier()
        assert variable._array[0, 0] == 7.5


@pytest.mark.parametrize(
    "make_optimizer",
    [
        lambda: tf.keras.optimizers.SGD(0.1, momentum=0.9, clipnorm=0.2),
        lambda: tf.keras.optimizers.Adam(0.01, amsgrad=True, global_clipnorm=0.3),
        lambda: tf.keras.optimizers.AdamW(0.01, clipvalue=0.05, exclude_from_weight_decay=["bias"]),
        lambda: tf.keras.optimizers.LAMB(0.01, weight_decay=0.1),
        lambda: tf.keras.optimizers.LARS(0.5),
        lambda: tf.keras.optimizers.Nadam(0.01),
        lambda: tf.keras.optimizers.RMSprop(0.01, gradient_accumulation_steps=2),
    ],
)
def test_optimizers_clip_and_update_portions(communicator, make_optimizer):
    models = [make(tf.distribute.OneDeviceStrategy(), make_optimizer())]
    models.append(make(tf.distribute.MirroredStrategy(), make_optimizer()))
    for model in models:
        model.fit(X, Y, batch_size=10, epochs=2, verbose=0)
    check_alike(communicator, models[1], models[0])


def test_assignments_are_made_once(communicator):
    def train(model):
        for _ in range(2):
            model.fit(X, Y, batch_size=10, verbose=0)
            model.weights[0].assign_add(tf.ones_like(model.weights[0]) * 0.1)
            model.optimizer.get_slot(model.weights[1], "v").assign_add(tf.ones(40))

    assert not any(sharing(both(train, communicator)))


def test_assignments_at_different_times_on_the_ranks(communicator):
    """A rank that has not come to its assignment yet must not see that of another."""

    def train(model):
        model.fit(X, Y, batch_size=10, verbose=0)
        if communicator.rank == 0:
            model.set_weights([weight + 0.5 for weight in model.get_weights()])
        communicator.barrier()
        if communicator.rank:
            model.set_weights([weight + 0.5 for weight in model.get_weights()])
        model.fit(X, Y, batch_size=10, verbose=0)

    both(train, communicator)


@pytest.fixture
def by_interpreter(monkeypatch):
    """What the interpreter had to do of exchanges that are native runs."""
    seen, wait, turn_back = [], node.Node._wait, SharedReducer._sum_apart

    def seen_wait(self, purpose, spins, yields):
        seen.append(purpose)
        wait(self, purpose, spins, yields)

    def seen_turn_back(self):
        seen.append("apart")
        turn_back(self)

    monkeypatch.setattr(node.Node, "_wait", seen_wait)
    monkeypatch.setattr(SharedReducer, "_sum_apart", seen_turn_back)
    return seen


def plain(strategy, optimizer, frozen=False):
    """A model whose weights nothing but the rule changes; `frozen` leaves a gap between those that it changes."""
    tf.random.set_seed(2)
    with strategy.scope():
        layers = [tf.keras.layers.Dense(units, activation="tanh") for units in (30, 20, 3)]
        layers[1].trainable = not frozen
        model = tf.keras.Sequential(layers)
        model.build((None, 6))
        model.compile(optimizer, LOSS)
    return model


@several
@pytest.mark.mpi(min_size=2)
@pytest.mark.parametrize("looks", [1_000_000, 0])
@pytest.mark.parametrize("optimizer", ["Adagrad", "Adam"])
def test_an_exchange_is_a_native_run(communicator, monkeypatch, by_interpreter, optimizer, looks):
    """With no looks at who is missing the interpreter goes on with each meeting."""
    monkeypatch.setattr(node, "_SPINS", looks)
    monkeypatch.setattr(node, "_YIELDS", looks)
    strategies = [tf.distribute.OneDeviceStrategy(), tf.distribute.MirroredStrategy()]
    models = [plain(strategy, getattr(tf.keras.optimizers, optimizer)(0.01)) for strategy in strategies]
    waited = waiting.total()
    for frozen in (False, True):
        for model in models:
            model.layers[1].trainable = not frozen
            with model.distribute_strategy.scope():
                model.compile(model.optimizer, LOSS)
            model.fit(X, Y, batch_size=10, epochs=2, verbose=0)
    moves = by_interpreter.count("move variables into shared memory")
    assert len(by_interpreter) == moves if looks else len(by_interpreter) > moves
    assert waiting.total() > waited
    check_alike(communicator, models[1], models[0])
    entered = communicator.allgather_object(communicator._journal.entered)
    assert entered == entered[:1] * communicator.size
    # Two meetings of each step for the update, two for each type of what is summed with the metrics.
    assert entered[0][strategies[1].node()._local._key] >= 12 * 4


@several
@pytest.mark.mpi(min_size=2)
def test_small_sums_are_made_in_memory_of_the_node(communicator, monkeypatch):
    strategy, sent, send = tf.distribute.MirroredStrategy(), [], type(communicator).allreduce_
    monkeypatch.setattr(type(communicator), "allreduce_", lambda *args: sent.append(args[1].dtype.name) or send(*args))
    shapes = [((3,), "float32"), ((2, 2), "float64"), ((5,), "int32"), ((), "float32"), ((5000,), "float64")]
    given = [np.arange(1, np.prod(shape) + 1).reshape(shape).astype(dtype) for shape, dtype in shapes]

    def sums(*arrays):
        return [strategy.all_sum([array])[0] for array in arrays]

    traced = tf.function(sums)
    factor, total = communicator.rank + 1, sum(range(1, communicator.size + 1))
    for is_shared in (False, True):
        for function in (sums, traced, tf.function(sums), traced):
            sent.clear()
            for array, summed in zip(given, function(*(tf.constant(a * factor) for a in given)), strict=True):
                np.testing.assert_array_equal(summed.numpy(), array * total)
            assert sent == (["int32", "float64"] if is_shared else [dtype for _, dtype in shapes])
        strategy.node()


@several
@pytest.mark.mpi(min_size=2)
@pytest.mark.parametrize("rank", [0, 1])
def test_a_native_run_turns_back_where_a_rank_has_left(communicator, by_interpreter, rank):
    strategies = [tf.distribute.OneDeviceStrategy(), tf.distribute.MirroredStrategy()]
    models = [plain(strategy, tf.keras.optimizers.Adam(0.01)) for strategy in strategies]

    class Write(tf.keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1 and communicator.rank == rank:  # the same value: the ranks do not differ for it
                self.model.weights[0].assign(self.model.weights[0])

    for model in models:
        model.fit(X, Y, batch_size=10, epochs=2, verbose=0, callbacks=[Write()])
    assert by_interpreter.count("apart") == (communicator.rank != rank)
    assert sharing(models[1]) == [False]
    check_alike(communicator, models[1], models[0])
    assert models[1].optimizer.iterations.numpy() == 6


@several
@pytest.mark.mpi(min_size=2)
def test_what_was_left_is_shared_again_by_the_next_fit(communicator):
    def train(model):
        optimizers = [model.optimizer, tf.keras.optimizers.SGD(0.1, momentum=0.5)]
        for turn in range(4):
            with model.distribute_strategy.scope():
                model.compile(optimizers[turn % 2], LOSS)
            for _ in range(2):
                model.fit(X, Y, batch_size=10, verbose=0)
                assert sharing(model) == [model.distribute_strategy.num_replicas_in_sync > 1]
                model.set_weights([weight * 0.9 for weight in model.get_weights()])

    assert not any(sharing(both(train, communicator)))


@several
@pytest.mark.mpi(min_size=2)
def test_who_writes_ever_again_is_left_alone(communicator, monkeypatch):
    monkeypatch.setattr(arena, "_MOST_LEAVES", 1)

    def train(model):
        for _ in range(3):
            model.fit(X, Y, batch_size=10, verbose=0)
            model.set_weights(model.get_weights())
        model.fit(X, Y, batch_size=10, verbose=0)

    assert sharing(both(train, communicator)) == [False]


class Shrinking(tf.keras.Sequential):
    """Assigns a variable in its own step."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compiled_loss(y, self(x, training=True))
        self.optimizer.minimize(loss, self.trainable_variables, tape=tape)
        self.weights[2].assign(self.weights[2] * 0.9)
        return {"loss": loss}


def test_assignments_in_steps(communicator):
    models = [make(tf.distribute.OneDeviceStrategy(), model_class=Shrinking)]
    models.append(make(tf.distribute.MirroredStrategy(), model_class=Shrinking))
    for model in models:
        model.fit(X, Y, batch_size=10, epochs=2, verbose=0)
    check_alike(communicator, models[1], models[0])


@several
@pytest.mark.mpi(min_size=2)
def test_a_write_on_one_rank_makes_all_leave(communicator):
    model = make(tf.distribute.MirroredStrategy())
    model.fit(X, Y, batch_size=10, verbose=0)
    assert sharing(model) == [True]
    before = model.get_weights()[0]
    if communicator.rank == 0:
        model.weights[0].assign(before + 1.0)
    communicator.barrier()
    np.testing.assert_array_equal(model.get_weights()[0], before + (communicator.rank == 0))
    model.fit(X, Y, batch_size=10, verbose=0)  # as it is with weights of one's own: the ranks differ from now on
    assert sharing(model) == [False]


def test_several_optimizers(communicator):
    """Of the same variables, of some of them, and one after the other."""

    def train(model):
        others = [tf.keras.optimizers.SGD(0.1, momentum=0.5), tf.keras.optimizers.Adam(0.02)]
        model.fit(X, Y, batch_size=10, verbose=0)
        model.compile(others[0], LOSS)
        model.fit(X, Y, batch_size=10, verbose=0)
        model.layers[0].trainable = False
        model.compile(others[1], LOSS)
        model.fit(X, Y, batch_size=10, verbose=0)
        model.layers[0].trainable = True
        model.compile(others[0], LOSS)
        model.fit(X, Y, batch_size=10, verbose=0)

    def in_scope(model):
        with model.distribute_strategy.scope():
            train(model)

    both(in_scope, communicator)


def test_gradients_that_are_not_summed_and_rows(communicator):
    def results(strategy):
        with strategy.scope():
            table, optimizer = tf.Variable(np.ones((5, 2), "float32")), tf.keras.optimizers.SGD(0.1, momentum=0.9)
        count = strategy.num_replicas_in_sync

        def step(aggregate, rows):
            gradient = tf.constant(np.full((5, 2), 1 / count if aggregate else 1.0, "float32"))
            if rows:
                gradient = tf.IndexedSlices(gradient[:2], tf.constant([3, 0]), (5, 2))
            optimizer.apply_gradients([(gradient, table)], experimental_aggregate_gradients=aggregate)

        for aggregate, rows in [(True, False), (False, False), (True, False), (True, True), (True, False)]:
            strategy.run(step, (aggregate, rows))
        return table.numpy()

    expected = results(tf.distribute.OneDeviceStrategy())
    np.testing.assert_allclose(results(tf.distribute.MirroredStrategy()), expected, rtol=1e-5)


@several
@pytest.mark.mpi(min_size=2)
def test_a_node_takes_memory_for_one_copy_and_for_gradients(communicator):
    (update, count), strategy = (node_memory.update, 10_000_000), tf.distribute.MirroredStrategy()
    update(strategy, 1)
    before = node_memory.of_node(strategy)
    kept = update(strategy, count)
    taken = (node_memory.of_node(strategy) - before) / (4 * count)
    del kept
    assert abs(taken - 3 - communicator.size) < 1.5  # weights, two slots, gradients; twice as much if nothing is shared


@several
@pytest.mark.mpi(min_size=2)
def test_memory_goes_with_the_model(communicator):
    model = make(tf.distribute.MirroredStrategy())
    model.fit(X, Y, batch_size=10, verbose=0)
    flat = weakref.ref(model.optimizer.groups[0].parameters.flat.base)
    assert flat() is not None
    del model
    gc.collect()
    assert flat() is None
    communicator.barrier()


class TwoHosts(MpiCommunicator):
    """Four ranks as if they were on two hosts."""

    def __init__(self, comm):
        super().__init__(comm, Journal(), (comm.rank % 2, 2, 2))

    def of_node(self):
        return MpiCommunicator(self._comm.Split(self.rank // 2, self.rank), self._journal, (self.local_rank, 2, 1))


@several
@pytest.mark.mpi(min_size=4)
def test_two_nodes(communicator):
    """Each node has its copy, and portions are summed between them."""
    tf.random.set_seed(1)
    rank, hosts = communicator.rank, TwoHosts(communicator._comm.Dup())
    alone, together = make(tf.distribute.OneDeviceStrategy()), make(Strategy(hosts))
    for model in (alone, together):
        model.fit(X, Y, batch_size=10, epochs=2, verbose=0)
    assert sharing(together) == [True]
    check_alike(communicator, together, alone)
    if rank == 3:
        together.weights[0].assign(together.weights[0])
        assert sharing(together) == [False]
    for model in (alone, together):
        model.fit(X, Y, batch_size=10, verbose=0)
    assert sharing(together) == [True]
    check_alike(communicator, together, alone)


@several
@pytest.mark.mpi(min_size=4)
def test_only_what_travels_between_nodes_is_rounded(communicator):
    def trained(strategy):
        tf.random.set_seed(1)
        with strategy.scope():
            layers = [tf.keras.layers.Dense(900, kernel_initializer=init(1), input_shape=(6,))]
            model = tf.keras.Sequential([*layers, tf.keras.layers.Dense(3, kernel_initializer=init(2))])
            model.compile(tf.keras.optimizers.SGD(0.1), LOSS)
        model.fit(X, Y, batch_size=10, verbose=0)
        assert sharing(model) == [strategy.num_replicas_in_sync > 1]
        return np.concatenate([weight.ravel() for weight in model.get_weights()])

    exact = trained(tf.distribute.OneDeviceStrategy())
    on_one_node = trained(tf.distribute.MirroredStrategy(compression="float16"))
    np.testing.assert_allclose(on_one_node, exact, atol=1e-5)
    hosts = TwoHosts(communicator._comm.Dup())
    on_two = trained(Strategy(hosts, compression="float16"))
    np.testing.assert_allclose(on_two, exact, atol=2e-3)
    assert np.abs(on_two - exact).max() > 2 * np.abs(on_one_node - exact).max()
    assert all(np.array_equal(on_two, other) for other in communicator.allgather(on_two))


@several
@pytest.mark.mpi(min_size=4)
def test_groups_of_two_nodes_are_measured(communicator):
    told = []
    chosen = _communication.measured(
        TwoHosts(communicator._comm.Dup()), 0.01, 0.001, lambda text, **kwargs: told.append(text.strip())
    )
    groups = ["all ranks: 4", "inside a node: 2", "between nodes, ranks of the same place on each: 2"]
    assert [text for text in told if text in groups] == groups
    assert "all ranks, in memory that those of a node share, and between nodes" in told
    assert list(chosen) == ["bucket_cap_mb", "shared_arenas"]
