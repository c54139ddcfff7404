"""Every layer against what Keras 2 computes, and through what every layer must be able to do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from distkeras import ops
from distkeras.core.tape import GradientTape
from distkeras.core.tensor import Tensor
from distkeras.keras import layers
from distkeras.keras.layers.base import LAYERS
from distkeras.keras.mixed_precision.policy import Policy
from distkeras.keras.saving.serialize import json_value
from distkeras.testing import check_compiled
from tests.keras.layers.case import Case
from tests.keras.layers.cases import CASES, FAMILIES, arguments_of, inputs_of, masks_of, new_weights

DATA = Path(__file__).parent / "data"


def _read(name: str) -> dict:
    return json.loads((DATA / name).read_text())


ARRAYS = {key: array for family in FAMILIES for key, array in np.load(DATA / f"{family}.npz").items()}
FACTS = {
    name: facts for family in FAMILIES for name, facts in json.loads((DATA / f"{family}.json").read_text()).items()
}
# Registered, but not to be called on a plain tensor: tested elsewhere.
ELSEWHERE = {"InputLayer", "Lambda", "TensorFlowOpLayer", "AddLoss", "AddMetric", "Model", "Sequential"}
# Cases and tests of their own: test_recurrent.py.
ELSEWHERE |= {"RNN", "SimpleRNN", "GRU", "LSTM", "ConvLSTM2D", "Bidirectional", "StackedRNNCells", "SimpleRNNCell"}
ELSEWHERE |= {"GRUCell", "LSTMCell", "PeepholeLSTMCell", "ConvLSTM2DCell"}
ELSEWHERE |= {"DenseFeatures"}  # tests/feature_column
# Configs of Keras after 2.0 have entries of no effect that 2.0's do not have.
SINCE_2_0 = {
    "GaussianNoise": {"seed"},
    "GaussianDropout": {"seed"},
    "BatchNormalization": {"synchronized", "fused"},  # the second is lost there
    "Attention": {"causal", "dropout", "score_mode"},  # the first is a keyword of the call there
    "AdditiveAttention": {"causal", "dropout"},
    "MultiHeadAttention": {"query_shape", "key_shape", "value_shape", "softmax_robust_masking"},
}
SINCE_2_0_ANYWHERE = {"groups", "keepdims"}
# In Keras 2's configs, and refused in Keras 3's: they describe a kernel that the layer does not have.
OF_NO_KERNEL = {"kernel_initializer", "kernel_regularizer", "kernel_constraint"}
SINCE_2_0 |= {"SeparableConv1D": OF_NO_KERNEL, "SeparableConv2D": OF_NO_KERNEL}

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def make(case: Case) -> layers.Layer:
    return LAYERS[case.layer].from_config({"name": "layer", **case.arguments})


def built(case: Case) -> tuple[layers.Layer, list[Tensor]]:
    layer, tensors = make(case), [Tensor(array) for array in inputs_of(case)]
    for index, mask in masks_of(case).items():
        tensors[index]._keras_mask = Tensor(mask)
    layer(*arguments_of(case, tensors))
    layer.set_weights(new_weights([tuple(weight.shape) for weight in layer.weights], case))
    return layer, tensors


def test_every_registered_layer_has_a_case():
    assert set(LAYERS) - ELSEWHERE == {case.layer for case in CASES}


@every_case
def test_outputs_gradients_and_weights_are_those_of_keras(case: Case):
    layer, tensors = built(case)
    given = layer.get_weights()
    with GradientTape() as tape:
        tape.watch(tensors)
        output = layer(*arguments_of(case, tensors), **case.call)
        ramp = np.cos(np.arange(output.shape.num_elements(), dtype="float32")).reshape(output.shape)
        loss = ops.reduce_sum(output * ramp)
        for term in layer.losses:
            loss = loss + term
    sources = [*tensors, *layer.trainable_weights]
    gradients = tape.gradient(loss, sources)
    close(output, f"{case.name}/output")
    close(loss, f"{case.name}/loss")
    mask = getattr(output, "_keras_mask", None)
    assert (mask is not None) == (f"{case.name}/mask" in ARRAYS)
    if mask is not None:
        np.testing.assert_array_equal(mask.numpy(), ARRAYS[f"{case.name}/mask"])
    for index, gradient in enumerate(gradients):
        key = f"{case.name}/gradient{index}"
        assert (gradient is not None) == (key in ARRAYS), key
        if gradient is not None:
            close(gradient, key)
    for index, weight in enumerate(layer.get_weights()):
        key = f"{case.name}/weight{index}"
        np.testing.assert_allclose(weight, ARRAYS.get(key, given[index]), rtol=2e-5, atol=2e-5, err_msg=key)


@pytest.mark.parametrize(
    "case",
    # Layers inside of a wrapper have their own types; and queries that may see nothing give whatever rounding leaves.
    [case for case in CASES if "layer" not in case.arguments and "use_causal_mask" not in case.call],
    ids=lambda case: case.name,
)
def test_mixed_float16_is_what_keras_computes_but_for_rounding(case: Case):
    layer = LAYERS[case.layer].from_config({"name": "layer", **case.arguments, "dtype": Policy("mixed_float16")})
    tensors = [Tensor(array) for array in inputs_of(case)]
    for index, mask in masks_of(case).items():
        tensors[index]._keras_mask = Tensor(mask)
    layer(*arguments_of(case, tensors))
    layer.set_weights(new_weights([tuple(weight.shape) for weight in layer.weights], case))
    with GradientTape() as tape:
        output = layer(*arguments_of(case, tensors), **case.call)
        loss = ops.reduce_sum(output)
    assert output.dtype == "float16"
    assert all(weight.dtype == "float32" for weight in layer.weights)
    expected = ARRAYS[f"{case.name}/output"]
    np.testing.assert_allclose(output.numpy(), expected, rtol=1e-2, atol=1e-2 * max(1.0, np.abs(expected).max()))
    assert all(
        gradient is None or gradient.dtype == "float32" for gradient in tape.gradient(loss, layer.trainable_weights)
    )
    config = json.loads(json.dumps(layer.get_config(), default=json_value))
    assert type(layer).from_config(config)._compute_dtype == "float16"


def close(value: object, key: str) -> None:
    np.testing.assert_allclose(np.asarray(value), ARRAYS[key], rtol=2e-5, atol=2e-5, err_msg=key)


@pytest.mark.parametrize("case", [case for case in CASES if "renorm" not in case.arguments], ids=lambda case: case.name)
def test_compiled_is_eager(case: Case):
    """Batch renormalisation depends on the calls before; it is compared by training."""
    layer, tensors = built(case)
    masks = masks_of(case)

    def call(*values: Tensor) -> Tensor:
        inputs = list(values[: len(tensors)])
        for index, mask in zip(masks, values[len(tensors) :], strict=True):
            inputs[index]._keras_mask = mask
        return layer(*arguments_of(case, inputs), **case.call)

    check_compiled(call, *tensors, *masks.values(), rtol=2e-5, atol=2e-6)


@every_case
def test_shapes_names_and_config_are_those_of_keras(case: Case):
    layer, facts = make(case), FACTS[case.name]
    dtype = "int32" if case.integers else "float32"
    outputs = layer(*arguments_of(case, [layers.Input(shape[1:], dtype=dtype) for shape in case.shapes]))
    assert list(outputs.shape) == facts["shape"]
    assert [weight.name for weight in layer.weights] == facts["weights"]
    assert len(layer.trainable_weights) == facts["trainable"]
    later = SINCE_2_0.get(case.layer, set()) | SINCE_2_0_ANYWHERE
    expected = {key: in_2_0(value) for key, value in facts["config"].items() if key not in later}
    written = json.loads(json.dumps(layer.get_config(), default=json_value))
    assert {key: value for key, value in written.items() if key not in later} == expected


def in_2_0(value: object) -> object:
    """Keras 2.0 has one class for all regularizers."""
    if isinstance(value, dict) and value.get("class_name") == "L2":
        return {"class_name": "L1L2", "config": {"l1": 0.0, **value["config"]}}
    return value


@every_case
def test_compute_output_shape_is_the_shape_of_the_output(case: Case):
    layer, tensors = built(case)
    shapes = layer.compute_output_shape(*arguments_of(case, [(None, *shape[1:]) for shape in case.shapes]))
    assert tuple(shapes)[1:] == tuple(layer(*arguments_of(case, tensors)).shape)[1:]
    assert tuple(shapes)[0] is None


@every_case
def test_config_round_trip_through_json(case: Case):
    layer, tensors = built(case)
    text = json.dumps(layers.serialize(layer), default=json_value)
    copy = layers.deserialize(json.loads(text))
    assert type(copy) is type(layer)
    given = arguments_of(case, tensors)
    copy(*given)
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy(*given).numpy(), layer(*given).numpy())
    assert json.dumps(layers.serialize(copy), default=json_value) == text


@every_case
def test_a_batch_without_samples_gives_an_output_without_samples(case: Case):
    layer, tensors = built(case)
    empty = [Tensor(np.zeros((0, *tensor.shape[1:]), tensor.dtype.numpy)) for tensor in tensors]
    before = layer.get_weights()
    flag = {"training": False} if layer._call_signature.expects("training") else {}
    output = layer(*arguments_of(case, empty), **flag)
    assert output.shape == (0, *layer(*arguments_of(case, tensors)).shape[1:])
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert all(np.isfinite(float(loss)) for loss in layer.losses)
