"""Models against what Keras 2 computes: outputs, order of layers and weights, configs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from distkeras import _nest, keras
from distkeras.graph.trace import interpret, trace
from distkeras.keras.models import clone_model, model_from_json, model_from_yaml
from tests.keras.models.cases import MODELS, inputs_for, structured, weights_for

DATA = Path(__file__).parent / "data"
ARRAYS = np.load(DATA / "models.npz")
FACTS = json.loads((DATA / "models.json").read_text())

every_model = pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)


def made(build):
    model = build(keras)
    model.set_weights(weights_for(model))
    return model, structured(model, inputs_for(model))


def outputs_of(model, inputs):
    return [output.numpy() for output in _nest.flatten(model(inputs, training=False))]


@every_model
def test_outputs_are_those_of_keras(build):
    model, inputs = made(build)
    for index, output in enumerate(outputs_of(model, inputs)):
        np.testing.assert_allclose(output, ARRAYS[f"{model.name}/{index}"], rtol=1e-5, atol=1e-6)


@every_model
def test_layers_weights_and_names_come_in_the_order_of_keras(build):
    model, _ = made(build)
    facts = FACTS[model.name]
    assert [layer.name for layer in model.layers] == facts["layers"]
    assert [weight.name for weight in model.weights] == facts["weights"]
    assert [weight.name for weight in model.trainable_weights] == facts["trainable"]
    assert model.input_names == facts["inputs"]
    assert model.output_names == facts["outputs"]


@every_model
def test_configs_are_those_of_keras(build):
    model, _ = made(build)
    written = json.loads(model.to_json())
    assert written["class_name"] == type(model).__name__
    assert (written["keras_version"], written["backend"]) == ("2.2.4-tf", "tensorflow")
    assert written["config"] == FACTS[model.name]["config"]


@every_model
@pytest.mark.parametrize("copy_of", ["json", "yaml", "config", "clone"])
def test_copies_compute_the_same(build, copy_of):
    model, inputs = made(build)
    copy = {
        "json": lambda: model_from_json(model.to_json()),
        "yaml": lambda: model_from_yaml(model.to_yaml()),
        "config": lambda: type(model).from_config(model.get_config()),
        "clone": lambda: clone_model(model),
    }[copy_of]()
    assert type(copy) is type(model) and copy.name == model.name
    assert [layer.name for layer in copy.layers] == [layer.name for layer in model.layers]
    assert not {id(weight) for weight in copy.weights} & {id(weight) for weight in model.weights}
    copy.set_weights(model.get_weights())
    for mine, theirs in zip(outputs_of(copy, inputs), outputs_of(model, inputs), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert copy.to_json() == model.to_json()


@every_model
def test_what_is_written_for_keras_2_today_is_read(build):
    """Such configs say Functional, list the input of a stack, and have more entries."""
    model, inputs = made(build)
    entry = json.loads(model.to_json())
    if entry["class_name"] == "Model":
        entry["class_name"] = "Functional"
    else:
        first = entry["config"]["layers"][0]["config"]
        name, shape = f"{first['name']}_input", first["batch_input_shape"]
        config = {"batch_input_shape": shape, "dtype": "float32", "sparse": False, "name": name}
        entry["config"]["layers"].insert(0, {"class_name": "InputLayer", "config": config})
    copy = model_from_json(json.dumps(entry))
    copy.set_weights(model.get_weights())
    for mine, theirs in zip(outputs_of(copy, inputs), outputs_of(model, inputs), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@every_model
def test_traced_and_eager_outputs_are_equal(build):
    model, inputs = made(build)
    tensors = _nest.map_structure(keras.layers.base.to_tensor, inputs)
    graph, _ = trace(
        lambda values: _nest.flatten(model(values, training=False)),
        (_nest.map_structure(lambda tensor: tensor.spec, tensors),),
    )
    traced = interpret(graph, _nest.flatten(tensors))
    for mine, theirs in zip(traced, outputs_of(model, inputs), strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs)
