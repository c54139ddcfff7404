"""The page of names is what the script makes of distkeras as it is."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_api_table", DOCS / "make_api_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(script):
    if script.PAGE.read_text() != script.page():
        pytest.fail("docs/api_table.md is out of date. Write it anew: python docs/make_api_table.py", pytrace=False)


def test_what_the_page_says(script):
    sections = {module: script._states(module, names) for module, names in script._listed()}
    assert "Dense" in sections["tf.keras.layers"]["works"] and "fit" in sections["tf.keras.Model"]["differs"]
    assert script._states("tf.keras.layers", ["Dense", "Thick"])["missing"] == ["Thick"]
    assert not any(found["missing"] for found in sections.values())
    names = [f"{module}.{name}" for module, listed in script._listed() for name in listed]
    assert len(names) == len(set(names)) > 700
