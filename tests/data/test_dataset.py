"""Datasets give what TensorFlow's give: elements, their structure, order, shapes and types, and how many they are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import distkeras as tf
from tests.data import dataset_cases as cases

RECORDED = json.loads((Path(__file__).parent / "data" / "datasets.json").read_text())


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    return cases.names(tf, tmp_path_factory.mktemp("files"))


@pytest.mark.parametrize("name", cases.CASES)
def test_elements_are_those_of_tensorflow(name, names):
    recorded = RECORDED["datasets"][name]
    dataset = eval(cases.CASES[name], names)
    folder = names["FILES"]["folder"]
    for _ in range(2):  # a second pass is like the first
        assert [cases.described(element, folder) for element in dataset] == recorded["elements"]
    spec = re.sub(r"\d+(?=[],])", "None", recorded["spec"]) if name in cases.WITHOUT_SIZES else recorded["spec"]
    assert cases.spec_of(dataset.element_spec) == spec
    assert int(dataset.cardinality()) in (recorded["cardinality"], tf.data.experimental.UNKNOWN_CARDINALITY)


@pytest.mark.parametrize("name", cases.REDUCTIONS)
def test_reductions_are_those_of_tensorflow(name, names):
    assert cases.described(eval(cases.REDUCTIONS[name], names), "") == RECORDED["reductions"][name]
