"""Configs of later versions in TF 2.0's words."""

from __future__ import annotations

import pytest

from distkeras.keras.saving.translate import plain_config, portable_config

TENSOR = {
    "class_name": "__keras_tensor__",
    "config": {"shape": [None, 3], "dtype": "float32", "keras_history": ["a", 0, 0]},
}


def test_what_tf20_writes_stays_as_it_is():
    config = {
        "class_name": "Model",
        "config": {
            "name": "m",
            "layers": [
                {
                    "class_name": "Dense",
                    "config": {"units": 3, "bias_regularizer": None},
                    "name": "d",
                    "inbound_nodes": [[["a", 0, 0, {}]]],
                }
            ],
            "input_layers": [["a", 0, 0]],
            "output_layers": [["d", 0, 0]],
        },
    }
    assert plain_config(config) == config


def test_calls_of_keras_3():
    entry = {"class_name": "Dense", "config": {}, "name": "d", "module": "keras.layers"}
    node = {"args": [TENSOR], "kwargs": {"mask": None, "training": False}}
    assert plain_config({**entry, "inbound_nodes": [node]})["inbound_nodes"] == [[["a", 0, 0, {"training": False}]]]
    several = {"args": [[TENSOR, TENSOR]], "kwargs": {}}
    assert plain_config({**entry, "inbound_nodes": [several]})["inbound_nodes"] == [[["a", 0, 0, {}], ["a", 0, 0, {}]]]
    with_tensor = {"args": [TENSOR], "kwargs": {"mask": TENSOR}}
    assert plain_config({**entry, "inbound_nodes": [with_tensor]})["inbound_nodes"] == [
        [["a", 0, 0, {"mask": ["a", 0, 0]}]]
    ]


@pytest.mark.parametrize("args", [[TENSOR, TENSOR], ["text"]])
def test_calls_that_cannot_be_read(args):
    with pytest.raises(ValueError, match="cannot be read"):
        plain_config({"class_name": "D", "config": {}, "inbound_nodes": [{"args": args, "kwargs": {}}]})


def test_single_ends():
    config = {
        "class_name": "Functional",
        "config": {"layers": [], "input_layers": ["a", 0, 0], "output_layers": [["b", 0, 0]]},
    }
    plain = plain_config(config)
    assert plain["class_name"] == "Model"
    assert plain["config"]["input_layers"] == [["a", 0, 0]] and plain["config"]["output_layers"] == [["b", 0, 0]]


def test_options_that_are_in_use_stay_and_are_refused_by_name():
    assert plain_config({"use_ema": True, "ema_momentum": 0.5}) == {"use_ema": True, "ema_momentum": 0.5}
    assert plain_config({"use_ema": False, "ema_momentum": 0.5, "ema_overwrite_frequency": 100}) == {}
    assert plain_config({"renorm": False, "renorm_clipping": {"rmax": 1}}) == {}
    assert plain_config({"groups": 2, "lora_rank": 4}) == {"groups": 2, "lora_rank": 4}


def test_values():
    assert plain_config({"class_name": "__tuple__", "items": [1, 2]}) == (1, 2)
    assert (
        plain_config({"class_name": "function", "config": "relu", "registered_name": "relu", "module": "builtins"})
        == "relu"
    )
    own = {"class_name": "Mine", "config": {}, "registered_name": "Package>Mine", "module": None}
    assert plain_config(own) == {"class_name": "Package>Mine", "config": {}}
    assert plain_config({"batch_shape": [None, 3]}) == {"batch_input_shape": [None, 3]}


def test_what_later_versions_say_of_recurrent_layers():
    later = {"class_name": "LSTM", "config": {"units": 3, "seed": None, "use_cudnn": "auto", "unroll": False}}
    assert plain_config(later) == {"class_name": "LSTM", "config": {"units": 3, "unroll": False}}
    assert plain_config({"class_name": "LSTM", "config": {"seed": 3}})["config"] == {"seed": 3}


def test_that_time_is_not_first_is_left_out_of_files():
    for value, written in ((False, {"units": 3}), (True, {"units": 3, "time_major": True})):
        config = {"class_name": "LSTM", "config": {"units": 3, "time_major": value}}
        assert portable_config(config)["config"] == written


def test_portable_configs_do_not_change_what_they_are_made_of():
    layers = [{"class_name": "Dense", "config": {"name": "d", "batch_input_shape": [None, 3], "dtype": "float32"}}]
    config = {"class_name": "Model", "config": {"layers": [{"class_name": "Sequential", "config": {"layers": layers}}]}}
    portable = portable_config(config)
    first = portable["config"]["layers"][0]["config"]["layers"][0]
    assert first["class_name"] == "InputLayer" and first["config"]["name"] == "d_input"
    assert layers[0]["class_name"] == "Dense" and len(layers) == 1
    assert portable_config(portable) == portable


def test_keras_3_is_told_the_module_of_a_layer_in_a_layer():
    wrapped = {"class_name": "Dense", "config": {"units": 3}}
    config = {"class_name": "TimeDistributed", "config": {"name": "steps", "layer": wrapped}}
    portable = portable_config(config)
    assert portable["config"]["layer"] == {**wrapped, "module": "keras.layers", "registered_name": None}
    assert plain_config(portable) == config
    own = {"layer": {"class_name": "MyDense", "config": {}}}
    assert portable_config(own) == own
