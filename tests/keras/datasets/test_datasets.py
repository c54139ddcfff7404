"""The datasets, from files made here; nothing is downloaded from outside."""

from __future__ import annotations

import gzip
import pickle
import struct
import tarfile

import numpy as np
import pytest

import distkeras as tf
from distkeras.errors import FileFormatError
from distkeras.keras.datasets import cifar10, fashion_mnist, idx, mnist


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty cache, a system without Debian's package, and no network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(fashion_mnist, "_SYSTEM_FOLDER", str(tmp_path / "system"))
    nowhere = (tmp_path / "nowhere").as_uri()
    monkeypatch.setattr(fashion_mnist, "_BASE", f"{nowhere}/")
    monkeypatch.setattr(mnist, "_ORIGIN", f"{nowhere}/mnist.npz")
    monkeypatch.setattr(cifar10, "_ORIGIN", f"{nowhere}/cifar.tar.gz")
    return tmp_path


def idx_bytes(array: np.ndarray, shape=None) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *(shape or array.shape)) + array.tobytes()


def images_and_labels() -> list[np.ndarray]:
    """Training labels and images, test labels and images."""
    random = np.random.RandomState(0)
    parts = [((7,), (7, 28, 28)), ((3,), (3, 28, 28))]
    return [random.randint(0, 256, shape).astype(np.uint8) for pair in parts for shape in pair]


def write_idx_folder(folder, compressed=True) -> list[np.ndarray]:
    folder.mkdir(parents=True)
    arrays = images_and_labels()
    for name, array in zip(idx.NAMES, arrays, strict=True):
        content = idx_bytes(array)
        if compressed:
            (folder / name).write_bytes(gzip.compress(content))
        else:
            (folder / name.removesuffix(".gz")).write_bytes(content)
    return arrays


def assert_equal(loaded, arrays) -> None:
    (x_train, y_train), (x_test, y_test) = loaded
    for value, expected in zip((y_train, x_train, y_test, x_test), arrays, strict=True):
        np.testing.assert_array_equal(value, expected)
        assert value.dtype == np.uint8 and value.flags.writeable


# --- Fashion-MNIST and MNIST


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("place", ["datasets/fashion-mnist", "system"])
def test_fashion_mnist_is_found(home, place, compressed):
    arrays = write_idx_folder(home / place, compressed)
    assert_equal(tf.keras.datasets.fashion_mnist.load_data(), arrays)


def test_fashion_mnist_is_downloaded_and_checked(home, monkeypatch):
    arrays = write_idx_folder(home / "server")
    monkeypatch.setattr(fashion_mnist, "_BASE", (home / "server").as_uri() + "/")
    with pytest.raises(OSError, match="has the SHA-256 .*, expected"):
        fashion_mnist.load_data()
    assert not list((home / "datasets" / "fashion-mnist").glob("*.gz"))
    import hashlib

    monkeypatch.setattr(fashion_mnist, "_HASHES", [hashlib.sha256(idx_bytes(array)).hexdigest() for array in arrays])
    assert_equal(fashion_mnist.load_data(), arrays)
    for path in (home / "server").iterdir():
        path.unlink()
    assert_equal(fashion_mnist.load_data(), arrays)  # from the cache


def test_without_network_one_is_told_where_the_file_belongs(home):
    with pytest.raises(
        OSError, match="Where there is no network, put the file here yourself.*train-labels-idx1-ubyte.gz"
    ):
        fashion_mnist.load_data()
    with pytest.raises(OSError, match="Where there is no network.*mnist.npz"):
        mnist.load_data()


def test_mnist_from_the_archive(home):
    arrays = images_and_labels()
    (home / "datasets").mkdir()
    np.savez(
        home / "datasets" / "mnist.npz", **dict(zip(("y_train", "x_train", "y_test", "x_test"), arrays, strict=True))
    )
    assert_equal(tf.keras.datasets.mnist.load_data(), arrays)


def test_mnist_from_idx_files(home):
    arrays = write_idx_folder(home / "datasets" / "mnist")
    assert_equal(mnist.load_data(), arrays)


def test_a_broken_archive(home):
    (home / "datasets").mkdir()
    np.savez(home / "datasets" / "mnist.npz", x_train=np.arange(3))
    with pytest.raises(FileFormatError, match="does not hold the arrays"):
        mnist.load_data()
    np.savez(home / "datasets" / "mnist.npz", **dict.fromkeys(mnist._ARRAYS, np.array([print], object)))
    with pytest.raises(FileFormatError, match="does not hold the arrays"):  # objects would be pickles
        mnist.load_data()


LABELS = np.arange(4, dtype=np.uint8)
BROKEN = {
    "magic": (b"\1\2\3\4" + idx_bytes(LABELS)[4:], "is no IDX file of 1 dimensions"),
    "dimensions": (idx_bytes(LABELS.reshape(2, 2)), "is no IDX file of 1 dimensions"),
    "short": (idx_bytes(LABELS)[:-1], r"its header says \(4,\), but it holds 3 bytes"),
    "long": (idx_bytes(LABELS) + b"1", "but it holds 5 bytes"),
    "huge": (idx_bytes(LABELS, (2**32 - 1,)), r"its header says \(4294967295,\)"),
    "empty": (b"", "is no IDX file"),
    "cut gzip": (gzip.compress(idx_bytes(LABELS))[:-9], "is damaged"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_idx_files(tmp_path, name):
    content, message = BROKEN[name]
    (tmp_path / "labels").write_bytes(content)
    with pytest.raises(FileFormatError, match=message):
        idx.read_idx(str(tmp_path / "labels"), 1)


def test_images_without_labels(home):
    folder = home / "datasets" / "fashion-mnist"
    write_idx_folder(folder)
    (folder / idx.NAMES[0]).write_bytes(gzip.compress(idx_bytes(LABELS)))
    with pytest.raises(FileFormatError, match="holds 7 images but 4 labels"):
        fashion_mnist.load_data()


# --- CIFAR-10


def write_cifar(folder, rows: int = 3) -> dict[str, dict]:
    folder.mkdir(parents=True)
    random = np.random.RandomState(1)
    batches = {}
    for name in (*cifar10._TRAINING, "test_batch"):
        data = random.randint(0, 256, (rows, 3072)).astype(np.uint8)
        batches[name] = {b"data": data, b"labels": random.randint(0, 10, rows).tolist(), b"batch_label": b"x"}
        (folder / name).write_bytes(pickle.dumps(batches[name], protocol=2))
    return batches


def test_cifar10(home):
    batches = write_cifar(home / "datasets" / "cifar-10-batches-py")
    (x_train, y_train), (x_test, y_test) = tf.keras.datasets.cifar10.load_data()
    assert x_train.shape == (15, 32, 32, 3) and y_train.shape == (15, 1) and x_train.dtype == y_train.dtype == np.uint8
    assert x_test.shape == (3, 32, 32, 3) and y_test.shape == (3, 1)
    expected = batches["data_batch_2"][b"data"].reshape(3, 3, 32, 32)
    np.testing.assert_array_equal(x_train[3:6], expected.transpose(0, 2, 3, 1))
    assert y_train[3:6, 0].tolist() == batches["data_batch_2"][b"labels"]


def test_cifar10_from_the_archive(home, monkeypatch):
    write_cifar(home / "made" / "cifar-10-batches-py")
    with tarfile.open(home / "cifar.tar.gz", "w:gz") as archive:
        archive.add(home / "made" / "cifar-10-batches-py", "cifar-10-batches-py")
    monkeypatch.setattr(cifar10, "_ORIGIN", (home / "cifar.tar.gz").as_uri())
    monkeypatch.setattr(cifar10, "_HASH", None)
    assert cifar10.load_data()[0][0].shape == (15, 32, 32, 3)


class Harm:
    def __reduce__(self):
        return (print, ("harm",))


@pytest.mark.parametrize("content", [Harm(), {b"data": Harm()}, 3, {}, {b"data": b"1", b"labels": []}])
def test_pickles_that_are_no_batch(home, content, capsys):
    folder = home / "datasets" / "cifar-10-batches-py"
    write_cifar(folder)
    (folder / "data_batch_1").write_bytes(pickle.dumps(content))
    with pytest.raises(FileFormatError, match="data_batch_1 is no batch of CIFAR-10"):
        cifar10.load_data()
    assert "harm" not in capsys.readouterr().out
