"""When these tests run: when they are asked for, and then they fail rather than skip where they cannot."""

import os
import shutil

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "ip", "tc", "unshare")


@pytest.fixture(scope="session", autouse=True)
def system():
    if not os.environ.get("DISTKERAS_SYSTEM_TESTS"):
        pytest.skip("asked for by `launch/test.sh --system`, or DISTKERAS_SYSTEM_TESTS=1")
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if os.geteuid() != 0 or missing:
        pytest.fail(
            f"the system tests need root (this is user {os.geteuid()}) and {', '.join(missing) or 'nothing else'}: "
            "run them as root, after `bash tests/system/install.sh`",
            pytrace=False,
        )
