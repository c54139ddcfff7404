"""Which of four places a setting is taken from, and what it accepts."""

import os
import subprocess
import sys

import pytest

from distkeras import _settings
from distkeras._settings import resolve


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_flag_comes_before_a_variable_before_the_file_before_the_default(tmp_path):
    (tmp_path / "distkeras.yaml").write_text("ranks: 2\nthreads: 3\nbucket_cap_mb: 8\nsimd:\n")
    variables = {"DISTKERAS_RANKS": "4", "DISTKERAS_THREADS": "5", "DISTKERAS_LOG_LEVEL": ""}
    settings = resolve({"ranks": 6, "threads": None}, variables)
    assert (settings.ranks, settings.threads, settings.bucket_cap_mb, settings.simd) == (6, 5, 8.0, None)
    sources = [settings.source(name) for name in ("ranks", "threads", "bucket_cap_mb", "simd", "log_level")]
    assert sources == ["flag", "DISTKERAS_THREADS", "distkeras.yaml", "default", "default"]


def test_files_can_be_named(tmp_path):
    for name in ("a", "b", "distkeras"):
        (tmp_path / f"{name}.yaml").write_text(f"cache_dir: /{name}\n")
    assert resolve(None, {}).cache_dir == "/distkeras"
    assert resolve(None, {"DISTKERAS_CONFIG": "a.yaml"}).cache_dir == "/a"
    assert resolve(None, {"DISTKERAS_CONFIG": "a.yaml"}, "b.yaml").cache_dir == "/b"
    with pytest.raises(FileNotFoundError, match="c.yaml"):
        resolve(None, {}, "c.yaml")


def test_what_is_handed_to_the_ranks_is_read_back_the_same():
    first = resolve({"ranks": 3, "mpirun_args": "--x 'a b'", "bucket_cap_mb": 0.5, "cache_dir": "/a b"}, {})
    second = resolve(None, first.variables())
    assert second.mpirun_args == ("--x", "a b")
    assert all(getattr(first, name) == getattr(second, name) for name in _settings.SETTINGS)


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("ranks", "0", "whole number of 1 or more"),
        ("ranks", "two", "invalid literal"),
        ("threads", 1.5, "whole number"),
        ("threads", True, "whole number"),
        ("bucket_cap_mb", "-1", "a number above 0"),
        ("bucket_cap_mb", "nan", "a number above 0"),
        ("watchdog_seconds", "-1", "number of seconds, 0 or more"),
        ("watchdog_abort", "soon", "could not convert"),
        ("debug", "perhaps", "expected 1 or 0, true or false"),
        ("debug_every", "0", "whole number of 1 or more"),
        ("simd", "sse", "one of amx, avx512, avx2, neon, portable"),
        ("log_level", "loud", "one of debug, info, warning, error"),
        ("hostfile", 3, "a non-empty text"),
        ("time_limit", "0", "a number above 0"),
        ("time_limit", "soon", "could not convert"),
        ("time_limit", "1::0", "could not convert"),
        ("time_limit", "1:0:0:0", "expected seconds, H:M:S or D-H:M:S"),
        ("mpirun_args", "'", "No closing quotation"),
        ("ranks", [2], "from flag"),
    ],
)
def test_wrong_values_name_setting_source_and_expectation(name, value, expected):
    with pytest.raises(ValueError, match=expected) as error:
        resolve({name: value}, {})
    assert str(error.value).startswith(f"{name} = {value!r} (from flag)")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("rank: 2", "distkeras.yaml sets 'rank', which is no setting; there are ranks,"),
        ("- 1", "must hold `name: value` lines, received list"),
        ("a: [", "distkeras.yaml is not a YAML file"),
        ("ranks: !!python/object/apply:os.getpid []", "not a YAML file"),
    ],
)
def test_wrong_files_are_refused(tmp_path, text, expected):
    (tmp_path / "distkeras.yaml").write_text(text)
    with pytest.raises(ValueError, match=expected):
        resolve(None, {})


def test_an_empty_file_sets_nothing(tmp_path):
    (tmp_path / "distkeras.yaml").write_text("# nothing\n")
    assert resolve(None, {}).variables() == {}


def test_description_shows_every_setting_and_its_source():
    lines = resolve({"mpirun_args": "-v"}, {"DISTKERAS_SIMD": "avx2"}).describe().splitlines()
    assert [line.split()[0] for line in lines] == list(_settings.SETTINGS)
    assert {"simd              avx2   DISTKERAS_SIMD", "mpirun_args       -v     flag"} <= set(lines)


def test_an_unknown_attribute_names_the_settings():
    with pytest.raises(AttributeError, match="no setting named 'rank'; there are ranks"):
        _ = resolve(None, {}).rank


def test_levels(monkeypatch):
    monkeypatch.setattr(_settings, "current", lambda: resolve({"log_level": "warning"}, {}))
    assert [_settings.says(level) for level in _settings.LOG_LEVELS] == [False, False, True, True]


def test_a_process_reads_its_own_environment(tmp_path):
    (tmp_path / "distkeras.yaml").write_text("bucket_cap_mb: 9\n")
    program = "from distkeras import _settings; print(_settings.current().threads, _settings.current().bucket_cap_mb)"
    package = os.path.dirname(os.path.dirname(_settings.__file__))
    variables = {**os.environ, "DISTKERAS_THREADS": "7", "PYTHONPATH": package}
    result = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["7", "9.0"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), (1.5, 1.5), ("2:30", 150), ("1:00:00", 3600), ("1-2:00:00", 93600)]
)
def test_times(text, seconds):
    assert resolve({"time_limit": text}, {}).time_limit == seconds
