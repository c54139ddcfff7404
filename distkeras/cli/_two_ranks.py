"""What `distkeras doctor` runs on two ranks: a sum that only comes out right if they see each other."""

from __future__ import annotations

import numpy as np

from distkeras.distribute.mpi import world


def main() -> None:
    """Add the ranks' numbers; rank 0 reports."""
    communicator = world()
    total = np.array([communicator.rank + 1.0], np.float32)
    communicator.allreduce_(total)
    expected = communicator.size * (communicator.size + 1) / 2
    if communicator.size < 2 or total[0] != expected:
        raise RuntimeError(f"{communicator.size} ranks added up to {total[0]}, expected {expected} of at least 2")
    if communicator.rank == 0:
        print(f"{communicator.size} ranks work together through {communicator.description}")


if __name__ == "__main__":
    main()
