"""The model of scaling: its formulas against messages counted one by one, and its steps against some worked by hand."""

import json
import shutil

import pytest

import distkeras as tf
from benchmarks.message_trace import FILE, Message, trace
from benchmarks.scaling_model import NETWORKS, WAYS, Network, Step, Way, efficiency, seconds_of_step
from benchmarks.scaling_simgrid import modelled, simulated

SLOW = Network("slow", latency=0.5, bandwidth=10.0, add=0.01)
FREE = Network("free", latency=0.0, bandwidth=1e30, add=0.0, memory=1e30)
STEP = Step([Message(2.0, 40, "allreduce", True), Message(3.0, 20, "allreduce", True)], 4.0)


def rounds(sizes):
    """Seconds for messages of these sizes, one after the other."""
    return sum(SLOW.latency + size / SLOW.bandwidth for size in sizes)


@pytest.mark.parametrize("nodes", [2, 4, 16])
def test_times_are_those_of_the_messages(nodes):
    nbytes, log2 = 64.0, nodes.bit_length() - 1
    halves = [nbytes / 2**level for level in range(1, log2 + 1)]
    assert SLOW.times(nbytes, nodes) == {
        "ring": pytest.approx(rounds([nbytes / nodes] * 2 * (nodes - 1)) + (nodes - 1) * nbytes / nodes * SLOW.add),
        "halving": pytest.approx(rounds(halves + halves[::-1]) + sum(halves) * SLOW.add),
        "doubling": pytest.approx(rounds([nbytes] * log2) + log2 * nbytes * SLOW.add),
    }


def test_buckets_travel_one_after_the_other_while_computing_goes_on():
    costs = [SLOW.allreduce(message.nbytes, 2) for message in STEP.messages]
    update = 4.0 - 3.0
    together, apart = (seconds_of_step(STEP, 2, SLOW, Way("", overlap=overlap)) for overlap in (True, False))
    assert apart == pytest.approx(3.0 + sum(costs) + update)
    assert together == pytest.approx(max(2.0 + costs[0], 3.0) + costs[1] + update)


def test_what_computing_waits_for_delays_what_follows():
    waits = Step([Message(1.0, 20, "allreduce", False), *STEP.messages], 4.0)
    ways = [seconds_of_step(step, 2, FREE, Way("")) for step in (STEP, waits)]
    assert ways[0] == ways[1] == pytest.approx(4.0)
    later = seconds_of_step(waits, 2, SLOW, Way("", overlap=False)) - seconds_of_step(
        STEP, 2, SLOW, Way("", overlap=False)
    )
    assert later == pytest.approx(SLOW.allreduce(20, 2))


def test_a_shared_update_takes_its_part_of_the_time():
    assert seconds_of_step(STEP, 4, FREE, Way("", zero=True)) == pytest.approx(3.0 + 1.0 / 4)


@pytest.mark.parametrize("name", json.loads(FILE.read_text()))
def test_efficiency_of_measured_steps(name):
    step = Step.of(json.loads(FILE.read_text())[name])
    for network in NETWORKS:
        for way in WAYS:
            values = [efficiency(step, ranks, network, way, 16) for ranks in (1, 32, 256, 4096)]
            assert values[0] == 1 and values == sorted(values, reverse=True) or way.zero
            assert 0.05 < values[-1] <= 1.2
        waiting = (Way("", overlap=False), Way("", overlap=True))
        assert efficiency(step, 256, network, waiting[0], 16) <= efficiency(step, 256, network, waiting[1], 16)


def test_a_trace_holds_all_gradients():
    def make():
        layers = [tf.keras.layers.Dense(8, input_shape=(4,)), tf.keras.layers.Dense(3)]
        return tf.keras.Sequential(layers), (4,), 3, 2

    found = trace(make, steps=3)
    step = Step.of(found)
    assert found["parameters"] == 40 + 27
    assert (
        4 * 67 <= sum(message.nbytes for message in step.buckets()) < 2 * 4 * 67
    )  # variables begin at round addresses
    assert 0 < step.messages[0].at <= step.messages[-1].at < step.seconds


def test_a_trace_is_of_ranks_whose_buckets_travel_meanwhile():
    def make():
        layers = [tf.keras.layers.Dense(1500, input_shape=(1000,)), tf.keras.layers.Dense(1000)]
        return tf.keras.Sequential(layers), (1000,), 1000, 2

    buckets = Step.of(trace(make, steps=1)).buckets()
    assert len(buckets) > 1 and all(message.overlaps for message in buckets)
    assert 12_010_000 <= sum(message.nbytes for message in buckets) < 12_011_000


@pytest.mark.skipif(not shutil.which("smpirun"), reason="needs SimGrid: apt-get install libsimgrid-dev")
@pytest.mark.parametrize("algorithm", ["ring", "halving"])
def test_simgrid_agrees(algorithm):
    messages = [Message(0.01, 4_000_000, "allreduce", False), Message(0.02, 400_000, "allreduce", False)]
    for network in NETWORKS:
        times = [time(messages, 0.03, 8, network, algorithm) - 0.03 for time in (modelled, simulated)]
        assert times[0] == pytest.approx(times[1], rel=0.08)
