"""`distkeras bench comm`: what is measured becomes a setting that `distkeras run` takes."""

import subprocess
import sys

import numpy as np
import pytest

from distkeras import _settings
from distkeras.cli import bench, main
from distkeras.distribute.environment import without_launcher
from distkeras.distribute.measurement import Line, bucket_cap_mb, fit


def test_two_ranks_are_measured_and_the_choice_is_saved(tmp_path):
    path = tmp_path / "tuned.yaml"
    path.write_text("# of this cluster\nthreads: 1\nbucket_cap_mb: 25\nlog_level: warning\n")
    command = ["bench", "comm", "-n", "2", "--largest-mb", "0.1", "--seconds", "0.01", "--save", str(path)]
    done = subprocess.run(
        [sys.executable, "-m", "distkeras", *command],
        env=without_launcher(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    for told in ("all ranks: 2", "allreduce", "allgather", "broadcast", "in memory that those of a node share\nsum"):
        assert told in done.stdout
    lines = path.read_text().splitlines()
    assert lines[:2] + lines[3:4] == ["# of this cluster", "threads: 1", "log_level: warning"]
    assert lines[4].startswith("shared_arenas: ") and "sums in shared memory" in lines[4]
    assert lines[2].startswith("bucket_cap_mb: ") and "2 ranks on 1 node(s)" in lines[2]
    settings = _settings.resolve(None, {}, path)
    assert settings.source("bucket_cap_mb") == str(path) and 0.25 <= settings.bucket_cap_mb <= 64
    assert settings.source("shared_arenas") == str(path) and isinstance(settings.shared_arenas, bool)
    over = _settings.resolve({"bucket_cap_mb": 3}, {"DISTKERAS_BUCKET_CAP_MB": "2"}, path)
    assert over.bucket_cap_mb == 3


def test_a_file_is_made_where_there_is_none(tmp_path, capsys):
    path = tmp_path / "new.yaml"
    bench.save(str(path), "bucket_cap_mb", 2.0, "measured")
    assert path.read_text() == "bucket_cap_mb: 2.0  # measured\n"
    assert "bucket_cap_mb: 2.0 is now a setting in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-n", "1"], "expected 2 or more, received -n 1"),
        (["-n", "2", "--largest-mb", "0"], "--largest-mb = '0': expected a number above 0"),
        (["-n", "2", "--seconds", "soon"], "--seconds = 'soon'"),
        (["-n", "2", "--save", "missing/tuned.yaml"], "there is no folder"),
        (["-n", "2", "--save", "broken.yaml"], "which is no setting"),
    ],
)
def test_bad_input_is_refused_before_ranks_are_started(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.yaml").write_text("bucket_size: 3\n")
    assert main(["bench", "comm", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_line_is_found_in_noise():
    random = np.random.default_rng(0)
    sizes = 4 * 8.0 ** np.arange(8)
    found = fit(
        sizes, Line(20e-6, 1e9).latency * random.uniform(0.8, 1.2, 8) + sizes / 1e9 * random.uniform(0.8, 1.2, 8)
    )
    assert found.latency == pytest.approx(20e-6, rel=0.3) and found.bandwidth == pytest.approx(1e9, rel=0.3)


def test_times_that_do_not_grow_give_a_line_all_the_same():
    found = fit([4, 4096], [50e-6, 10e-6])
    assert found.latency > 0 and np.isfinite(found.bandwidth)
    assert 0.25 <= bucket_cap_mb(found) <= 64


@pytest.mark.parametrize(
    ("line", "cap"),
    [(Line(1e-6, 1e8), 0.25), (Line(50e-6, 1.25e9), 0.5), (Line(200e-6, 1e10), 17.0), (Line(1, 1e9), 64)],
)
def test_buckets_reach_nine_tenths_of_the_bandwidth(line, cap):
    assert bucket_cap_mb(line) == cap
