"""The loop runs from end to end, and two ranks print what one process prints."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from distkeras.testing import run_ranks

PATH = Path(__file__).resolve().parents[2] / "examples" / "custom_training_loop.py"


def test_two_ranks_train_what_one_process_trains():
    printed = [run_ranks(ranks, PATH, "--epochs", 2, timeout=240).check().stdout for ranks in (1, 2)]
    numbers = [np.float64(re.findall(r"[\d.]+", text)) for text in printed]
    assert len(numbers[0]) == 7 and numbers[0][-1] > 0.8, printed[0]
    np.testing.assert_allclose(numbers[1], numbers[0], atol=0.005)
