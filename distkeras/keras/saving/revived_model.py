"""Models that are made again from their graphs, where there is no config, or the class is not known."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from distkeras.core.trackable import children_of
from distkeras.core.variable import Variable
from distkeras.keras.layers.base import LAYERS
from distkeras.keras.saving.restored_functions import RestoredFunction
from distkeras.keras.saving.restored_objects import RestoredObject, restored
from distkeras.keras.saving.saved_model_files import KERAS_KIND
from distkeras.keras.saving.saved_model_graph import SavedFunctions, SavedObject
from distkeras.keras.saving.serialize import get_custom_objects
from distkeras.keras.saving.signatures import CALL_WITH_LOSSES

_CALLS = (CALL_WITH_LOSSES, "call_and_return_all_conditional_losses")  # of TensorFlow 2.0, and of later versions
_REGULARIZERS = "regularization_losses"
_NOT_WEIGHTS = ("optimizer", "signatures", "keras_api", "keras_metrics")  # what a model holds beside its layers


def is_revived(root: SavedObject, custom_objects: Mapping[str, Any] | None) -> bool:
    """Whether a model comes from its graphs: they are there, and no config of a known class is."""
    if root.kind != f"{KERAS_KIND}model" or not any(name in root.node.children for name in _CALLS):
        return False
    name = root.metadata.get("class_name")
    is_known = name in (custom_objects or {}) or name in get_custom_objects() or name in LAYERS
    return not (root.metadata.get("config") and is_known)


def revived_model(objects: Sequence[SavedObject], functions: SavedFunctions, folder: str) -> Any:
    """The model that is the first of the objects of a folder: it predicts, evaluates and trains through its graphs.

    Raises:
        FileFormatError: The folder is damaged.
        ValueError: Its graphs were left out.
    """
    root = restored(objects, functions, folder)
    function = next((vars(root)[name] for name in _CALLS if name in vars(root)), None)
    if not isinstance(function, RestoredFunction):
        raise ValueError(
            f"{folder} holds a model without a config, and without its functions: make it in Python and use "
            "model.load_weights(path)."
        )
    return _revived_class()(root, function, objects[0].metadata.get("name"))


@functools.cache
def _revived_class() -> Any:
    """The class, made when it is asked for: models come after the formats that read them."""

    class RevivedModel(LAYERS["Model"]):
        """A model whose forward pass is a graph that was read.

        Args:
            root: What it holds, by name.
            function: (inputs, training=...) -> outputs and losses.
            name: The model's.
        """

        def __init__(self, root: RestoredObject, function: RestoredFunction, name: str | None) -> None:
            super().__init__(name=name)
            self.__dict__.update(_root=root, _function=function, signatures=root.signatures)
            self._restored_weights = weights_of(root)
            self.input_specs = function.concrete_functions[0].structured_input_signature[0][0]
            self.built = True
            for regularizer in _regularizers_of(root):
                self.add_loss(regularizer)

        def call(self, inputs: Any, training: Any = None) -> Any:
            outputs, losses = self._function(inputs, training=bool(training))
            for loss in losses:
                self.add_loss(loss, inputs=True)
            return outputs

        def _checkpoint_children(self, wanted: Collection[str] = ()) -> dict[str, Any]:
            held = {name: value for name, value in vars(self._root).items() if name not in _NOT_WEIGHTS}
            return {**held, "optimizer": self.__dict__.get("optimizer")}

    return RevivedModel


def weights_of(root: RestoredObject) -> list[Variable]:
    """The variables of a model: as it lists them, or all that it holds but for the optimizer's and the metrics'."""
    listed = vars(root).get("variables")
    return list(listed) if listed is not None else [entry for entry in _held(root) if isinstance(entry, Variable)]


def _regularizers_of(root: RestoredObject) -> list[RestoredFunction]:
    """The functions that give the losses of weights, layer by layer."""
    found = [one for entry in _held(root) for one in getattr(entry, "__dict__", {}).get(_REGULARIZERS, ())]
    return list({id(function): function for function in found}.values())


def _held(root: RestoredObject) -> list[Any]:
    """What a model consists of, each object once."""
    found: dict[int, Any] = {}
    waiting: list[Any] = [root]
    while waiting:
        entry = waiting.pop()
        if id(entry) in found or hasattr(entry, "get_slot_names"):
            continue
        found[id(entry)] = entry
        children = children_of(entry)
        waiting += [children[name] for name in reversed(children) if name not in _NOT_WEIGHTS]
    return list(found.values())
