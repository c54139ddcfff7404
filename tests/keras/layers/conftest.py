import pytest

from distkeras.keras.layers import naming
from distkeras.keras.layers.call_context import clear_learning_phase


@pytest.fixture
def fresh_names():
    """Names are numbered from the beginning, and no learning phase is left set."""
    naming.reset_uids()
    yield
    clear_learning_phase()
