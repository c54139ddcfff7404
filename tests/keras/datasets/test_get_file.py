"""Fetching files: from file:// addresses, so without any network."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import distkeras as tf
from distkeras.keras.utils.data_utils import keras_home

get_file = tf.keras.utils.get_file


def read(path) -> str:
    return Path(path).read_text()


@pytest.fixture
def origin(tmp_path):
    (tmp_path / "server").mkdir()
    path = tmp_path / "server" / "data.txt"
    path.write_text("content")
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_file_is_fetched_once(origin, cache):
    path = get_file("kept.txt", origin.as_uri())
    assert path == str(cache / "datasets" / "kept.txt") and read(path) == "content"
    origin.write_text("other")
    assert read(get_file("kept.txt", origin.as_uri())) == "content"
    assert read(get_file("kept.txt", origin.as_uri(), cache_subdir="elsewhere")) == "other"
    assert sorted(os.listdir(cache / "datasets")) == ["kept.txt", "kept.txt.lock"]


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_hashes(origin, cache, algorithm, capsys):
    digest = hashlib.new(algorithm, b"content").hexdigest()
    path = get_file("kept.txt", origin.as_uri(), file_hash=digest)
    with open(path, "w") as file:
        file.write("damaged")
    assert read(get_file("kept.txt", origin.as_uri(), file_hash=digest)) == "content"
    assert "incomplete or outdated" in capsys.readouterr().err
    with pytest.raises(ValueError, match=f"expected a file with {algorithm} 0+"):
        get_file("other.txt", origin.as_uri(), file_hash="0" * len(digest))
    assert not os.path.exists(cache / "datasets" / "other.txt")
    with pytest.raises(ValueError, match="hash_algorithm must be"):
        get_file("other.txt", origin.as_uri(), file_hash=digest, hash_algorithm="crc32")


def test_addresses_that_lead_nowhere(tmp_path, cache):
    with pytest.raises(
        OSError, match="URL fetch failure on file:.*Where there is no network, put the file here yourself"
    ):
        get_file("x.txt", (tmp_path / "nothing").as_uri())
    assert os.listdir(cache / "datasets") == ["x.txt.lock"]


def make_tar(path, names) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = 4
            archive.addfile(entry, io.BytesIO(b"text"))


def test_untar(tmp_path, cache):
    make_tar(tmp_path / "a.tar.gz", ["folder/one", "folder/two"])
    path = get_file("folder", (tmp_path / "a.tar.gz").as_uri(), untar=True)
    assert sorted(os.listdir(path)) == ["one", "two"]
    os.remove(tmp_path / "a.tar.gz")
    os.remove(f"{path}.tar.gz")
    assert get_file("folder", "file:///nowhere", untar=True) == path


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_extract(tmp_path, cache, kind):
    if kind == "tar":
        make_tar(tmp_path / "archive", ["folder/one"])
    else:
        with zipfile.ZipFile(tmp_path / "archive", "w") as archive:
            archive.writestr("folder/one", "text")
    address = (tmp_path / "archive").as_uri()
    get_file("plain", address, extract=True, archive_format=None)
    assert not os.path.exists(cache / "datasets" / "folder")
    get_file("archive", address, extract=True)
    assert read(cache / "datasets" / "folder" / "one") == "text"
    with pytest.raises(ValueError, match="archive_format must be"):
        get_file("archive", address, extract=True, archive_format="rar")


@pytest.mark.parametrize("name", ["../evil", "/tmp/distkeras-evil"])
def test_archives_that_write_elsewhere(tmp_path, cache, name):
    make_tar(tmp_path / "archive", ["good", name])
    with pytest.raises(ValueError, match="which is a link or lies outside"):
        get_file("archive", (tmp_path / "archive").as_uri(), extract=True)
    assert not os.path.exists(cache / "datasets" / "good") and not os.path.exists(cache / "evil")


def test_archives_with_links(tmp_path, cache):
    with tarfile.open(tmp_path / "archive", "w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(link)
    with pytest.raises(ValueError, match="'link', which is a link"):
        get_file("archive", (tmp_path / "archive").as_uri(), extract=True)


FETCH = """
import sys
from distkeras.keras.utils.data_utils import get_file
assert open(get_file("shared", sys.argv[1])).read() == "content"
"""


def test_of_many_processes_one_fetches(origin, cache):
    command = [sys.executable, "-c", FETCH, origin.as_uri()]
    root = str(Path(tf.__file__).parents[1])
    variables = {**os.environ, "PYTHONPATH": root}
    processes = [subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    assert "".join(errors).count("Downloading data from") == 1


def test_keras_home(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", "/some/where")
    assert keras_home() == "/some/where"
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert keras_home() == str(tmp_path / ".keras")
