"""Generated kernels run by Python, so that many graphs can be tried without compiling each."""

from __future__ import annotations

import pytest

from distkeras.graph import kernel_cache


@pytest.fixture
def interpreted_kernels(monkeypatch):
    """Lets plans run the source of their kernels as it stands; gives the sources that were used."""
    sources = []

    def load(source, signature):
        sources.append(source)
        namespace = {}
        exec(source.replace("{name}", "kernel"), namespace)
        return namespace["kernel"]

    monkeypatch.setattr(kernel_cache, "load", load)
    return sources
