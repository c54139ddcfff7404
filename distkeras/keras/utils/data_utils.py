"""Files from the net, fetched once and kept.

Any number of processes may ask for the same file: a lock beside it lets one of them fetch, and the others find it
there.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

_SECONDS_WITHOUT_DATA = 30


def keras_home() -> str:
    """The folder in which Keras keeps files: $KERAS_HOME, else ~/.keras, else one among the temporary files."""
    if os.environ.get("KERAS_HOME"):
        return os.environ["KERAS_HOME"]
    home = os.path.join(os.path.expanduser("~"), ".keras")
    if os.access(home if os.path.isdir(home) else os.path.expanduser("~"), os.W_OK):
        return home
    return os.path.join(tempfile.gettempdir(), ".keras")


def get_file(
    fname: str,
    origin: str,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: Any = "auto",
    cache_dir: str | None = None,
) -> str:
    """The path of a file, which is downloaded if it is not there yet.

    Args:
        fname: The file's name in the cache; an absolute path is taken as it is.
        origin: The address to download from.
        untar: Whether the file is a tar archive to be unpacked; the name in the cache is then that of its content,
            without '.tar.gz'.
        md5_hash: An older name of `file_hash`.
        file_hash: The MD5 or SHA-256 that the file must have, in hexadecimal. A file that has another is fetched anew.
        cache_subdir: The folder inside of the cache.
        hash_algorithm: 'md5', 'sha256' or 'auto', by the hash's length.
        extract: Whether to unpack the file, beside itself, if it is an archive.
        archive_format: 'tar', 'zip', 'auto' (any), None (no archive), or a list of these.
        cache_dir: The cache; by default $KERAS_HOME or ~/.keras.

    Returns:
        The path of the file; with `untar` that of the unpacked folder.

    Raises:
        OSError: It cannot be downloaded.
        ValueError: What was downloaded has another hash, an argument is unknown, or an archive would write elsewhere.
    """
    if not isinstance(origin, str):
        raise TypeError(f"get_file: `origin` must be an address, received {origin!r}.")
    file_hash = md5_hash if file_hash is None else file_hash
    algorithm = _algorithm(hash_algorithm, file_hash)
    folder = os.path.join(cache_dir or keras_home(), cache_subdir)
    target = os.path.join(folder, fname)
    path = f"{target}.tar.gz" if untar else target

    def check(candidate: str) -> None:
        if file_hash is not None and _digest(candidate, algorithm) != file_hash.lower():
            raise ValueError(
                f"{origin}: expected a file with {algorithm} {file_hash}, received one of "
                f"{os.path.getsize(candidate)} bytes "
                f"with {_digest(candidate, algorithm)}."
            )

    if untar and os.path.isdir(target):
        return target
    with locked(path):
        if not _is_good(path, check):
            download(origin, path, check)
        if untar:
            _unpack(path, folder, ("tar",))
        elif extract:
            _unpack(path, folder, _archive_formats(archive_format))
    return target


def _is_good(path: str, check: Callable[[str], None]) -> bool:
    if not os.path.exists(path):
        return False
    try:
        check(path)
    except ValueError as error:
        print(
            f"A local file was found, but it seems to be incomplete or outdated: {error} Fetching it again.",
            file=sys.stderr,
        )
        return False
    return True


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """Let one process at a time work on `path`, whose folder is made if need be."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        file = open(f"{path}.lock", "a")  # noqa: SIM115
    except OSError:  # a cache that cannot be written to may still hold the file
        yield
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def download(origin: str, path: str, check: Callable[[str], None]) -> None:
    """Fetch a file; it is there as a whole, or not at all.

    Args:
        origin: Its address.
        path: Where it is to be.
        check: Called with the path of what was fetched, before it is put there; raises if it is not right.

    Raises:
        OSError: There is no network, no such address, or no space.
    """
    print(f"Downloading data from {origin}", file=sys.stderr, flush=True)
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with urllib.request.urlopen(origin, timeout=_SECONDS_WITHOUT_DATA) as source, open(temporary, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            expected = source.headers.get("Content-Length")
        if expected is not None and int(expected) != os.path.getsize(temporary):
            raise OSError(f"{os.path.getsize(temporary)} of {expected} bytes arrived")
        check(temporary)
        os.replace(temporary, path)
    except OSError as error:  # urllib's errors are among them
        reason = getattr(error, "reason", None) or error
        raise OSError(
            error.errno or errno.EIO,
            f"URL fetch failure on {origin}: {reason}. Where there is no network, put the file here yourself",
            path,
        ) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)


# --- hashes


def _algorithm(name: str, file_hash: str | None) -> str:
    if name == "auto":
        return "sha256" if file_hash is not None and len(file_hash) == 64 else "md5"
    if name not in ("md5", "sha256"):
        raise ValueError(f"hash_algorithm must be 'md5', 'sha256' or 'auto', received {name!r}.")
    return name


def _digest(path: str, algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


# --- archives


def _archive_formats(given: Any) -> tuple[str, ...]:
    formats = ("tar", "zip") if given == "auto" else tuple([given] if isinstance(given, str) else given or ())
    unknown = [name for name in formats if name not in ("tar", "zip")]
    if unknown:
        raise ValueError(f"archive_format must be 'tar', 'zip', 'auto', None or a list of these, received {given!r}.")
    return formats


def _unpack(path: str, folder: str, formats: tuple[str, ...]) -> None:
    """Unpack an archive into a folder, unless all it holds is there already; nothing if it is none of these formats."""
    if "tar" in formats and tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            members = archive.getmembers()
            for member in members:
                _check_member(member.name, folder, path, member.isfile() or member.isdir())
            _unpack_missing([member.name for member in members], folder, lambda to: _extract_tar(archive, members, to))
    elif "zip" in formats and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                _check_member(name, folder, path, True)
            _unpack_missing(archive.namelist(), folder, archive.extractall)


def _extract_tar(archive: tarfile.TarFile, members: list[tarfile.TarInfo], folder: str) -> None:
    for member in members:
        member.mode = 0o755 if member.isdir() else 0o644
        archive.extract(member, folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))


def _unpack_missing(names: list[str], folder: str, extract: Callable[[str], Any]) -> None:
    """Unpack beside the folder and move what is missing there: what is in the folder is whole."""
    tops = sorted({os.path.normpath(name).split(os.sep)[0] for name in names} - {"."})
    missing = [top for top in tops if not os.path.exists(os.path.join(folder, top))]
    if not missing:
        return
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unpack-") as temporary:
        extract(temporary)
        for top in missing:
            os.replace(os.path.join(temporary, top), os.path.join(folder, top))


def _check_member(name: str, folder: str, path: str, is_plain: bool) -> None:
    root = os.path.realpath(folder)
    place = os.path.realpath(os.path.join(root, name))
    if not (is_plain and (place == root or place.startswith(root + os.sep))):
        raise ValueError(
            f"{path} has the member {name!r}, which is a link or lies outside of {folder}: nothing was unpacked."
        )
