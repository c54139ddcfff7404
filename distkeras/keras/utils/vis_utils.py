"""Pictures of models: their graph in the DOT language, which Graphviz draws."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

_NO_GRAPHVIZ = (
    "Failed to find Graphviz' program `dot`, which draws {path!r}: install Graphviz, or give `to_file` the ending .dot "
    "to write the graph as text, which any Graphviz draws."
)


class Dot:
    """A graph in the DOT language.

    Args:
        text: The graph.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def to_string(self) -> str:
        """The graph as text."""
        return self._text

    def write(self, path: Any, format: str | None = None) -> None:
        """Write the graph as a picture, or as text.

        Args:
            path: The file.
            format: 'png', 'svg', 'pdf' or what else Graphviz knows; 'dot' is text. By the path's ending by default.

        Raises:
            ImportError: A picture is wanted, and Graphviz is not installed.
            OSError: Graphviz could not draw it, or the file cannot be written.
        """
        path = os.fspath(path)
        kind = format or os.path.splitext(path)[1].lstrip(".").lower() or "png"
        if kind in ("dot", "gv", "raw"):
            with open(path, "w", encoding="utf-8") as file:
                file.write(self._text)
            return
        program = shutil.which("dot")
        if program is None:
            raise ImportError(_NO_GRAPHVIZ.format(path=path))
        done = subprocess.run([program, f"-T{kind}", "-o", path], input=self._text, text=True, capture_output=True)
        if done.returncode:
            raise OSError(f"Graphviz could not draw {path!r} as {kind!r}: {done.stderr.strip()}")


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 96,
    subgraph: bool = False,
) -> Dot:
    """A model's layers and what flows between them, in the DOT language.

    Args:
        model: The model; one defined by its `call` is a single node.
        show_shapes: Whether to show the shapes of inputs and outputs.
        show_layer_names: Whether to show the layers' names.
        rankdir: 'TB' draws from top to bottom, 'LR' from left to right.
        expand_nested: Whether to draw the layers of models inside, framed.
        dpi: Dots per inch of a picture.
        subgraph: Whether to give a frame to be put into another graph.

    Raises:
        ValueError: A Sequential model that is not built, or another `rankdir`.
        TypeError: It is no model.

    >>> import distkeras as tf
    >>> model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,), name="out")], name="small")
    >>> print(model_to_dot(model).to_string())
    digraph "small" {
      graph [rankdir=TB, concentrate=true, dpi=96];
      node [shape=record];
      "small/out_input" [label="out_input: InputLayer"];
      "small/out" [label="out: Dense"];
      "small/out_input" -> "small/out";
    }
    """
    if rankdir not in ("TB", "LR", "BT", "RL"):
        raise ValueError(f"`rankdir` must be 'TB', 'LR', 'BT' or 'RL', received {rankdir!r}.")
    if not hasattr(model, "_graph"):
        raise TypeError(f"Expected a model to draw, received {model!r} of type {type(model).__name__}.")
    if not model.built and hasattr(model, "add"):
        raise ValueError(
            "This model has not yet been built. Build the model first by calling `build()` or calling `fit()` with "
            "some data, or specify an `input_shape` argument in the first layer(s) for automatic build."
        )
    drawing = _Drawing(show_shapes, show_layer_names, expand_nested)
    lines = drawing.model(model, model.name)
    if subgraph:
        return Dot(_framed(lines, model.name))
    head = [f"graph [rankdir={rankdir}, concentrate=true, dpi={dpi}];", "node [shape=record];"]
    return Dot(f"digraph {_quoted(model.name)} {{\n" + _indented([*head, *lines]) + "\n}")


def plot_model(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 96,
) -> Any:
    """Draw a model into a file; of several ranks the first one writes.

    Args:
        model, show_shapes, show_layer_names, rankdir, expand_nested, dpi: As for `model_to_dot`.
        to_file: The picture: .png, .svg, .pdf ..., drawn by Graphviz; or .dot for text, which needs nothing.

    Returns:
        In a notebook the picture to be shown, else None.

    Raises:
        ImportError: Graphviz is not installed.
    """
    dot = model_to_dot(model, show_shapes, show_layer_names, rankdir, expand_nested, dpi)
    if model.distribute_strategy.rank:
        return None
    dot.write(to_file)
    return _notebook_picture(os.fspath(to_file))


def _notebook_picture(path: str) -> Any:
    try:
        from IPython import display
    except ImportError:
        return None
    return display.Image(filename=path) if path.endswith((".png", ".jpg", ".jpeg", ".gif")) else None


class _Drawing:
    """The lines of a graph. Nodes are called by their path of models and layer: names are unique inside of a model."""

    def __init__(self, show_shapes: bool, show_layer_names: bool, expand_nested: bool) -> None:
        self._show_shapes = show_shapes
        self._show_layer_names = show_layer_names
        self._expand_nested = expand_nested

    def model(self, model: Any, path: str) -> list[str]:
        graph = model._graph
        if graph is None:
            return [self._node(model, path)]
        lines: list[str] = []
        for layer in graph.layers:
            place = f"{path}/{layer.name}"
            if self._is_expanded(layer):
                lines += _framed(self.model(layer, place), place, layer.name).splitlines()
            else:
                lines.append(self._node(layer, place))
        edges = [
            f"{_quoted(source)} -> {_quoted(target)};"
            for node in graph.nodes
            for position, tensor in enumerate(node.keras_inputs)
            for source in [self._source(tensor._keras_history.layer, tensor._keras_history.tensor_index, path)]
            for target in [self._target(node.layer, position, path)]
        ]
        return lines + list(dict.fromkeys(edges))

    def _is_expanded(self, layer: Any) -> bool:
        return self._expand_nested and getattr(layer, "_graph", None) is not None

    def _source(self, layer: Any, tensor_index: int, path: str) -> str:
        """The node that an output of a layer comes from."""
        place = f"{path}/{layer.name}"
        if not self._is_expanded(layer):
            return place
        history = layer.outputs[tensor_index]._keras_history
        return self._source(history.layer, history.tensor_index, place)

    def _target(self, layer: Any, position: int, path: str) -> str:
        """The node that an input of a layer goes to."""
        place = f"{path}/{layer.name}"
        return f"{place}/{layer.input_names[position]}" if self._is_expanded(layer) else place

    def _node(self, layer: Any, place: str) -> str:
        kind = type(layer).__name__
        if hasattr(layer, "layer"):  # a wrapper
            kind += f"({type(layer.layer).__name__})"
        label = _escaped(f"{layer.name}: {kind}" if self._show_layer_names else kind)
        if self._show_shapes:
            shapes = [_escaped(_shape(layer, name)) for name in ("input_shape", "output_shape")]
            label += "\\n|{input:|output:}|{{" + "}|{".join(shapes) + "}}"
        return f'{_quoted(place)} [label="{label}"];'


def _shape(layer: Any, name: str) -> str:
    try:
        shape = getattr(layer, name)
    except (AttributeError, RuntimeError):
        return "multiple"
    return str(shape)


def _framed(lines: list[str], name: str, label: str | None = None) -> str:
    inside = _indented([f"label={_quoted(label or name)};", *lines])
    return f"subgraph {_quoted(f'cluster_{name}')} {{\n{inside}\n}}"


def _indented(lines: list[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escaped(text: str) -> str:
    """Text in a record's label, where braces, bars and angle brackets have a meaning."""
    return "".join(f"\\{letter}" if letter in '\\{}|<>"' else letter for letter in text)
