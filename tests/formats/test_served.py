"""SavedModels hold a graph that TensorFlow runs: those that were seen to give the models' results are recorded."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from distkeras import _wire as wire
from distkeras.keras.saving.restored_objects import restored
from distkeras.keras.saving.saved_model_files import read_functions, read_objects
from tests.formats.exported_models import MODELS, build, normal

RECORDED = json.loads((Path(__file__).parent / "data" / "served.json").read_text())
layers = tf.keras.layers


def digest_of(folder: Path) -> str:
    """Of the graph, with its library, and of the signature: fields 2 and 5 of the MetaGraphDef."""
    content = (Path(folder) / "saved_model.pb").read_bytes()
    (graph,) = [value for number, value in wire.fields(content) if number == 2]
    parts = [wire.field(number, value) for number, value in wire.fields(graph) if number in (2, 5)]
    return hashlib.sha256(b"".join(parts)).hexdigest()


@pytest.mark.parametrize("name", MODELS)
def test_the_graph_is_one_that_tensorflow_ran_right_and_is_read_back(name: str, tmp_path):
    """Where it is to change: write_served.py, and then check_served.py, which asks TensorFlow."""
    model, inputs, outputs = build(name)
    model.save(tmp_path, save_format="tf")
    folder = str(tmp_path)
    signature = restored(read_objects(folder), read_functions(folder), folder).signatures["serving_default"]
    given = dict(zip(model.input_names, inputs, strict=True))
    compiled, step_by_step = (
        signature(**given),
        signature._run(*map(tf.constant, (given[key] for key in sorted(given)))),
    )
    assert sorted(compiled) == sorted(outputs)
    for key, one in zip(sorted(outputs), step_by_step, strict=True):
        for value in (compiled[key], one):
            assert value.dtype == outputs[key].dtype
            np.testing.assert_allclose(value, outputs[key], rtol=1e-5, atol=1e-6)
    assert digest_of(tmp_path) == RECORDED[name]


def test_every_value_that_a_node_takes_is_there(tmp_path):
    build("masked sequences")[0].save(tmp_path, save_format="tf")
    content = (tmp_path / "saved_model.pb").read_bytes()
    (meta,) = [value for number, value in wire.fields(content) if number == 2]
    (graph,) = [value for number, value in wire.fields(meta) if number == 2]
    nodes = [value for number, value in wire.fields(graph) if number == 1]
    functions = [
        value for library in wire.fields(graph) if library[0] == 2 for number, value in wire.fields(library[1])
    ]
    check_references(nodes, set())
    for function in functions:
        (signature,) = [value for number, value in wire.fields(function) if number == 1]
        arguments = {dict(wire.fields(value))[1].decode() for number, value in wire.fields(signature) if number == 2}
        check_references([value for number, value in wire.fields(function) if number == 3], arguments)
    assert len(functions) == 1 + 2 * 4  # condition and step of each of four recurrences


def check_references(nodes: list[bytes], known: set[str]) -> None:
    for node in nodes:
        for number, value in wire.fields(node):
            if number == 3:
                assert value.decode().lstrip("^").split(":")[0] in known
        known.add(dict(wire.fields(node))[1].decode())


def test_what_cannot_be_served_is_saved_all_the_same(tmp_path):
    model = tf.keras.Sequential([layers.RNN(tf.keras.experimental.PeepholeLSTMCell(2), input_shape=(None, 3))])
    with pytest.warns(UserWarning, match="can be loaded, but not served by TensorFlow: .* does other operations"):
        model.save(tmp_path, save_format="tf")
    x = normal(2, 4, 3)
    assert (tf.keras.models.load_model(tmp_path, compile=False)(x).numpy() == model(x).numpy()).all()
