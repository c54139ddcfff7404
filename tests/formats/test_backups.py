"""Backups of training runs: what goes in comes out; what is damaged, hostile or half written is recognised."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from distkeras.errors import FileFormatError
from distkeras.keras.saving.backup_file import read_backup, write_backup
from distkeras.keras.saving.backup_folder import BackupFolder

VALUES = {
    "plain": [None, True, 3, 0.1, float("inf"), "text"],
    1: ("a tuple", {"in": [np.arange(3), np.float32(0.1)]}),
    "empty": [[], (), {}, np.zeros((0, 2))],
}
ARRAYS = {"layer/kernel": np.arange(6.0, dtype="float32").reshape(2, 3), "count": np.array(7), "graph": np.arange(9)}


@pytest.fixture
def path(tmp_path) -> str:
    path = str(tmp_path / "backup.npz")
    write_backup(path, VALUES, ARRAYS)
    return path


def described(value):
    """A value with the types of what is in it, as text."""
    if isinstance(value, (np.ndarray, np.generic)):
        return f"{type(value).__name__} {value.dtype} {value.shape} {value.tolist()}"
    if isinstance(value, dict):
        return {key: described(part) for key, part in value.items()}
    return type(value)(map(described, value)) if isinstance(value, (list, tuple)) else repr(value)


def test_values_and_arrays_come_back_as_they_were(path):
    values, arrays = read_backup(path)
    assert described(values) == described(VALUES) and described(arrays) == described(ARRAYS)
    values["empty"][3] += 1  # an array that is one's own


def test_equal_content_gives_equal_bytes_that_numpy_reads(path, tmp_path):
    write_backup(str(tmp_path / "again.npz"), VALUES, ARRAYS)
    assert Path(path).read_bytes() == (tmp_path / "again.npz").read_bytes()
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["arrays/layer/kernel"], ARRAYS["layer/kernel"])


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, np.array([None]), b"bytes", [lambda: 1]],
    ids=["object", "set", "array of objects", "bytes", "function"],
)
def test_what_cannot_be_saved_is_named_and_leaves_the_earlier_file(path, value):
    before = Path(path).read_bytes()
    with pytest.raises(TypeError, match="cannot be saved: expected numbers, texts, None, arrays"):
        write_backup(path, {"state": value}, {})
    assert Path(path).read_bytes() == before and len(list(Path(path).parent.iterdir())) == 1


def test_a_full_disk_is_named_and_leaves_the_earlier_file(path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = Path(path).read_bytes()
    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(OSError, match=r"the backup .*backup\.npz of 0\.0 MB cannot be written: No space left") as found:
        write_backup(path, VALUES, ARRAYS)
    assert found.value.errno == errno.ENOSPC
    assert Path(path).read_bytes() == before and len(list(Path(path).parent.iterdir())) == 1


def test_every_changed_byte_and_every_cut_is_noticed_or_changes_nothing(path):
    content = Path(path).read_bytes()
    expected = described(read_backup(path))
    noticed = 0
    for place in range(0, len(content), 3):
        for damaged in (content[:place], content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :]):
            Path(path).write_bytes(damaged)
            try:
                assert described(read_backup(path)) == expected  # such as a date in the archive
            except FileFormatError:
                noticed += 1
    assert noticed > len(content) / 3


def npy(shape: str, data: bytes = b"") -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data


def pickled() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([print]), allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({}, "values.json"),
        ({"values.json": b"{"}, "Expecting property name"),
        ({"values.json": b'{"array": "values/0"}'}, "values/0"),
        ({"values.json": b'{"exec": "print"}'}, "exec"),
        ({"values.json": b"[" * 100_000}, "RecursionError"),
        ({"values.json": b"1", "arrays/a.npy": npy("(1000000000000,)")}, "does not take 0 bytes"),
        ({"values.json": b"1", "arrays/a.npy": npy("(-1,)")}, "does not take 0 bytes"),
        ({"values.json": b"1", "arrays/a.npy": pickled()}, "object"),
        ({"values.json": b"1", "arrays/a.npy": b"no array"}, "magic"),
    ],
)
def test_hostile_files(path, entries, message):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    with pytest.raises(FileFormatError, match="is a damaged backup of .*" + message):
        read_backup(path)


def test_entries_that_would_swell_are_refused(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("values.json", b"1" * 100_000)
    with pytest.raises(FileFormatError, match="compressed"):
        read_backup(path)


# --- the folder


def test_the_last_ones_are_kept_and_the_newest_good_one_is_found(tmp_path):
    folder = BackupFolder(str(tmp_path / "new" / "folder"), keep=3)
    assert folder.newest() is None
    for step in range(5):
        folder.write({"step": step}, {})
    assert folder.numbers() == [3, 4, 5] and folder.newest() == 5
    Path(folder.file(5)).write_bytes(b"")
    Path(folder.file(4)).write_bytes(Path(folder.file(4)).read_bytes()[:-30])
    with pytest.warns(UserWarning, match="damaged backup of .* The backup before it is taken") as warned:
        assert folder.newest() == 3
    assert len(warned) == 2 and folder.read(3)[0] == {"step": 2}
    Path(folder.file(3)).write_bytes(b"")
    with pytest.warns(UserWarning), pytest.raises(FileFormatError, match="All 3 backups in .* are damaged"):
        folder.newest()


def test_clearing_leaves_what_is_not_its_own(tmp_path):
    folder = BackupFolder(str(tmp_path / "folder"))
    folder.write({}, {})
    (tmp_path / "folder" / "notes.txt").touch()
    (tmp_path / "folder" / f".backup-00000002.npz.{'0' * 32}.tmp").touch()
    folder.clear()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["notes.txt"]
    (tmp_path / "folder" / "notes.txt").unlink()
    folder.clear()
    assert not (tmp_path / "folder").exists()


KILLED_WRITERS = """
import os, random, signal, sys, time
import numpy as np
from distkeras.keras.saving.backup_folder import BackupFolder

folder, random = BackupFolder(sys.argv[1]), random.Random(0)
done = unfinished = 0
for _ in range(25):
    child = os.fork()
    if not child:
        while True:
            done += 1
            folder.write({"step": done}, {"weights": np.full(100_000, done)})
    time.sleep(random.uniform(0.002, 0.06))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    unfinished += any(name.endswith(".tmp") for name in os.listdir(folder.path))
    newest = folder.newest()
    if newest is not None:
        values, arrays = folder.read(newest)
        assert values["step"] >= done and (arrays["weights"] == values["step"]).all()
        done = values["step"]
folder.write({}, {})
assert len(os.listdir(folder.path)) == 2  # what they had no time to delete is deleted by the next
print(done, unfinished)
"""


def test_writers_that_are_killed_leave_the_last_backup_intact(tmp_path):
    (tmp_path / "folder").mkdir()
    command = [sys.executable, "-W", "error::UserWarning", "-c", KILLED_WRITERS, str(tmp_path / "folder")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    done, unfinished = map(int, result.stdout.split())
    assert done > 5 and unfinished > 5  # both did happen
