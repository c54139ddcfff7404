"""The figures of scaling: what is trained by a job, and how jobs are compared."""

import pytest

from benchmarks.scaling import difference, measure


@pytest.mark.parametrize("strong", [False, True])
def test_a_job_trains_as_it_is_asked(strong):
    rate, losses = measure("mlp", 4, 1, strong=strong)
    assert rate > 0 and len(losses) == 5
    assert losses[-1] < losses[0]  # the same batch again and again


def test_the_difference_is_the_largest_of_all_rounds():
    one = 1.0, [2.0, 4.0]
    rounds = [{"one": one, "two": (1.0, [2.0, 4.1])}, {"one": one, "two": (1.0, [1.8, 4.0])}]
    assert difference(rounds, "one", "two") == pytest.approx(0.1)
    assert difference(rounds, "one", "one") == 0
