"""`tf.io.gfile`."""

from __future__ import annotations

import pytest

import distkeras as tf
from distkeras.errors import InvalidArgumentError, NotFoundError

gfile = tf.io.gfile


def test_files_and_folders(tmp_path):
    folder = str(tmp_path / "a" / "b")
    gfile.makedirs(folder)
    gfile.makedirs(folder)
    gfile.mkdir(tmp_path / "c")
    path = f"{folder}/one.txt"
    with gfile.GFile(path, "w") as file:
        file.write("first\nsecond\n")
        file.flush()
        assert gfile.stat(path).length == 13
    with gfile.GFile(path, "a") as file:
        file.write("third")
    assert gfile.exists(path) and gfile.exists(tf.constant(path)) and gfile.isdir(folder) and not gfile.isdir(path)
    gfile.copy(path, f"{folder}/two.txt")
    assert gfile.listdir(folder) == ["one.txt", "two.txt"]
    assert gfile.glob([f"{folder}/t*", f"{folder}/*.txt"]) == [f"{folder}/one.txt", f"{folder}/two.txt"]
    with pytest.raises(FileExistsError, match="overwrite=True"):
        gfile.copy(path, f"{folder}/two.txt")
    gfile.rename(path, f"{folder}/two.txt", overwrite=True)
    assert not gfile.exists(path)
    down = [(str(tmp_path), ["a", "c"], []), (f"{tmp_path}/a", ["b"], []), (folder, [], ["two.txt"])]
    assert list(gfile.walk(tmp_path))[:3] == down and list(gfile.walk(tmp_path, False))[-1] == down[0]
    gfile.remove(f"{folder}/two.txt")
    gfile.rmtree(tmp_path / "a")
    assert gfile.listdir(tmp_path) == ["c"]


def test_reading(tmp_path):
    (tmp_path / "f").write_bytes("ä\r\nb\n".encode())
    file = gfile.GFile(tmp_path / "f")
    assert (file.readline(), file.tell(), file.readlines(), file.size()) == ("ä\r\n", 4, ["b\n"], 6)
    file.seek(0)
    assert file.read(1) == "ä"
    file.close()
    assert gfile.GFile(tmp_path / "f", "rb").read() == b"\xc3\xa4\r\nb\n"
    with gfile.GFile(tmp_path / "f") as lines:
        assert list(lines) == ["ä\r\n", "b\n"]


def test_what_cannot_be_done(tmp_path):
    nowhere = tmp_path / "nowhere" / "x"
    for call in (gfile.listdir, gfile.remove, gfile.rmtree, gfile.stat, gfile.mkdir, gfile.GFile(nowhere).read):
        with pytest.raises(NotFoundError, match="nowhere/x; No such file or directory"):
            call(nowhere) if call.__name__ != "read" else call()
    with pytest.raises(NotFoundError, match="nowhere/x"):
        gfile.copy(nowhere, tmp_path / "y")
    with pytest.raises(InvalidArgumentError, match="mount that storage"):
        gfile.exists("gs://bucket/file")
    with pytest.raises(InvalidArgumentError, match="mode must be 'r', 'w' or 'a'"):
        gfile.GFile("x", "rw")
