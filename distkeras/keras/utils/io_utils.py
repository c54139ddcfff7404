"""Arrays in HDF5 files as data to train on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from distkeras.data.hdf5 import open_to_read


class HDF5Matrix:
    """Rows of a dataset in an HDF5 file, read batch by batch: what `fit` takes for an array.

    With `shuffle=True` rows are mixed within some of the file's chunks at a time; see the user guide on data.

    Args:
        datapath: The file.
        dataset: The dataset's name in it.
        start: The first row.
        end: The row after the last one; all by default.
        normalizer: Applied to rows when they are read.

    Raises:
        OSError: There is no such file, or it is no HDF5 file.
        KeyError: It has no such dataset.
        ValueError: `start` and `end` are not rows of it.

    >>> import h5py, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "data.h5")
    >>> with h5py.File(path, "w") as file:
    ...     file["x"] = np.arange(6.0).reshape(3, 2)
    >>> rows = HDF5Matrix(path, "x", start=1, normalizer=lambda x: x / 10)
    >>> rows.shape, rows[0].tolist()
    ((2, 2), [0.2, 0.3])
    """

    def __init__(
        self,
        datapath: Any,
        dataset: str,
        start: int = 0,
        end: int | None = None,
        normalizer: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        import h5py

        with contextlib.ExitStack() as stack:
            file = stack.enter_context(open_to_read(datapath))
            if not isinstance(file.get(dataset), h5py.Dataset):
                raise KeyError(f"{datapath} has no dataset {dataset!r}; there are {sorted(file)}.")
            self.data = file[dataset]
            self.start = start
            self.end = self.data.shape[0] if end is None else end
            if not 0 <= self.start <= self.end <= self.data.shape[0]:
                raise ValueError(
                    f"Rows {start} to {self.end} were asked for, but {dataset!r} has {self.data.shape[0]} rows."
                )
            stack.pop_all()  # the file stays open for the rows to come
        self.normalizer = normalizer
        self._example = self._normalized(self.data[:0])

    def _normalized(self, rows: np.ndarray) -> np.ndarray:
        return rows if self.normalizer is None else np.asarray(self.normalizer(rows))

    def __len__(self) -> int:
        return self.end - self.start

    def __getitem__(self, key: Any) -> np.ndarray:
        """Rows by a number, a slice, or a list or array of numbers; negative ones count from the end."""
        if isinstance(key, slice):
            first, stop, step = key.indices(len(self))
            return self._normalized(self.data[self.start + first : self.start + max(first, stop) : step])
        places = np.asarray(key)
        if ((places < -len(self)) | (places >= len(self))).any():
            raise IndexError(f"Row {key} was asked for, but there are {len(self)} rows.")
        places = places % len(self) + self.start
        if not places.ndim:
            return self._normalized(self.data[int(places)])
        # HDF5 reads a selection only once each and in increasing order.
        unique, where = np.unique(places, return_inverse=True)
        return self._normalized(self.data[unique][where])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self._example.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        return self._example.dtype

    @property
    def ndim(self) -> int:
        return self._example.ndim

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))
