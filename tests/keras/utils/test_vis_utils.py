"""Pictures of models: the text of their graphs, and what draws it."""

import sys
import types

import pytest

import distkeras as tf
from distkeras.keras.utils import model_to_dot, plot_model, vis_utils

keras, L = tf.keras, tf.keras.layers


def nested():
    first = keras.Input((3,), name="first")
    inner = keras.Sequential([L.Dense(2, input_shape=(3,), name="one"), L.Dense(2, name="two")], name="inner")
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    split = keras.Model([a, b], [L.Dense(1, name="left")(a), L.Add(name="right")([b, b])], name="split")
    left, right = split([first, inner(first)])
    return keras.Model(first, L.Concatenate(name="joined")([left, right]), name="outer")


FLAT = r"""digraph "outer" {
  graph [rankdir=LR, concentrate=true, dpi=50];
  node [shape=record];
  "outer/first" [label="InputLayer\n|{input:|output:}|{{[(None, 3)]}|{[(None, 3)]}}"];
  "outer/inner" [label="Sequential\n|{input:|output:}|{{(None, 3)}|{(None, 2)}}"];
  "outer/split" [label="Model\n|{input:|output:}|{{[(None, 3), (None, 2)]}|{[(None, 1), (None, 2)]}}"];
  "outer/joined" [label="Concatenate\n|{input:|output:}|{{[(None, 1), (None, 2)]}|{(None, 3)}}"];
  "outer/first" -> "outer/inner";
  "outer/first" -> "outer/split";
  "outer/inner" -> "outer/split";
  "outer/split" -> "outer/joined";
}"""

EXPANDED = r"""digraph "outer" {
  graph [rankdir=TB, concentrate=true, dpi=96];
  node [shape=record];
  "outer/first" [label="first: InputLayer"];
  subgraph "cluster_outer/inner" {
    label="inner";
    "outer/inner/one_input" [label="one_input: InputLayer"];
    "outer/inner/one" [label="one: Dense"];
    "outer/inner/two" [label="two: Dense"];
    "outer/inner/one_input" -> "outer/inner/one";
    "outer/inner/one" -> "outer/inner/two";
  }
  subgraph "cluster_outer/split" {
    label="split";
    "outer/split/a" [label="a: InputLayer"];
    "outer/split/b" [label="b: InputLayer"];
    "outer/split/left" [label="left: Dense"];
    "outer/split/right" [label="right: Add"];
    "outer/split/a" -> "outer/split/left";
    "outer/split/b" -> "outer/split/right";
  }
  "outer/joined" [label="joined: Concatenate"];
  "outer/first" -> "outer/inner/one_input";
  "outer/first" -> "outer/split/a";
  "outer/inner/two" -> "outer/split/b";
  "outer/split/left" -> "outer/joined";
  "outer/split/right" -> "outer/joined";
}"""


def test_layers_and_shapes():
    dot = model_to_dot(nested(), show_shapes=True, show_layer_names=False, rankdir="LR", dpi=50)
    assert dot.to_string() == FLAT


def test_models_inside_are_framed():
    assert model_to_dot(nested(), expand_nested=True).to_string() == EXPANDED


def test_a_part_of_another_picture():
    text = model_to_dot(nested(), subgraph=True).to_string()
    assert text.startswith('subgraph "cluster_outer" {\n  label="outer";') and "rankdir" not in text


def test_models_without_a_graph():
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    assert '"own" [label="own: Own"];' in model_to_dot(Own(name="own")).to_string()
    with pytest.raises(ValueError, match="This model has not yet been built"):
        model_to_dot(keras.Sequential([L.Dense(2)]))
    with pytest.raises(ValueError, match="`rankdir` must be 'TB', 'LR', 'BT' or 'RL', received 'up'"):
        model_to_dot(nested(), rankdir="up")


def test_names_that_mean_something_in_the_language():
    layer = L.Dense(1, input_shape=(2,), name='a|b{"')
    text = model_to_dot(keras.Sequential([layer], name="m")).to_string()
    assert r'"m/a|b{\"" [label="a\|b\{\": Dense"];' in text


def test_text_needs_no_graphviz(tmp_path):
    plot_model(nested(), tmp_path / "model.dot", expand_nested=True)
    assert (tmp_path / "model.dot").read_text() == EXPANDED


def test_graphviz_draws(tmp_path, monkeypatch):
    program = tmp_path / "dot"
    program.write_text('#!/bin/sh\necho "$1" > "$3"; cat >> "$3"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    model_to_dot(nested(), expand_nested=True).write(tmp_path / "model.svg")
    assert (tmp_path / "model.svg").read_text() == f"-Tsvg\n{EXPANDED}"
    program.write_text("#!/bin/sh\necho 'no such format' >&2; exit 1\n")
    with pytest.raises(OSError, match="Graphviz could not draw .* as 'bmp': no such format"):
        model_to_dot(nested()).write(tmp_path / "picture", format="bmp")


def test_without_graphviz(monkeypatch):
    monkeypatch.setattr(vis_utils.shutil, "which", lambda name: None)
    with pytest.raises(ImportError, match="install Graphviz, or give `to_file` the ending .dot"):
        plot_model(nested())


def test_a_notebook_shows_the_picture(tmp_path, monkeypatch):
    class Image:
        def __init__(self, filename):
            self.filename = filename

    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(display=types.SimpleNamespace(Image=Image)))
    monkeypatch.setattr(vis_utils.Dot, "write", lambda self, path: None)
    assert plot_model(nested(), tmp_path / "model.png").filename == str(tmp_path / "model.png")
    assert plot_model(nested(), tmp_path / "model.pdf") is None
