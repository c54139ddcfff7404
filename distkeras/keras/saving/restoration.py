"""Putting a checkpoint's values into the objects of a program.

The stored graph and the program's objects are walked together from their roots, by equal names. What has no place yet
waits until it is made: see `deferred`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from distkeras._errors import FileFormatError
from distkeras.core import deferred
from distkeras.core.context import init_scope
from distkeras.core.trackable import children_of, is_optimizer, variables_in_order
from distkeras.core.variable import Variable
from distkeras.keras.saving import later_optimizers, tf_graph
from distkeras.keras.saving.tf_bundle import Bundle, reading


class Restoration:
    """A checkpoint on its way into a program.

    Args:
        root: The object that takes the place of what was saved.
        bundle: The checkpoint.

    Attributes:
        objects: The program's objects by the numbers of their nodes.
        restored: For each node whose value was used, the variables that have it.

    Raises:
        FileFormatError: The checkpoint holds no object graph.
    """

    def __init__(self, root: Any, bundle: Bundle) -> None:
        self.root, self.bundle = root, bundle
        self.nodes = read_graph(bundle)
        self.objects: dict[int, Any] = {}
        self.restored: dict[int, list[Variable]] = {}
        self._goes_on = False

    def go_on(self, changed: Any = None) -> None:
        """Give values to all variables that have come up since.

        Args:
            changed: The object that has something new, if it is known: then only what it holds is looked at.

        Raises:
            ValueError: A value does not fit its variable; then none of these has been changed.
            FileFormatError: A value cannot be read.
        """
        if self._goes_on:
            return
        self._goes_on = True
        deferred.stop(self.root)  # what does not fit is said once
        try:
            with init_scope():
                self._match(changed)
                self._make_slots()
                self.objects |= later_optimizers.matched(self.root, self.nodes, self.objects)
                self._assign()
        finally:
            self._goes_on = False
        if not self._is_complete():
            deferred.wait(self.root, self)

    def catch_up(self) -> None:
        """As `go_on`, unless there is nothing more to do, or a later checkpoint has taken its place."""
        if deferred.waiting_for(self.root) is self:
            self.go_on()

    def _is_complete(self) -> bool:
        return all(node.key is None or number in self.restored for number, node in enumerate(self.nodes))

    def _match(self, changed: Any) -> None:
        """Walk both graphs, nearest first; an object that is reached by two names is what the first says."""
        numbers = [number for number, entry in self.objects.items() if entry is changed]
        if not numbers:
            self.objects, numbers = {0: self.root}, [0]
        waiting, seen = deque(numbers), set(numbers)
        while waiting:
            stored = self.nodes[waiting[0]].children
            held = children_of(self.objects[waiting.popleft()], stored.keys())
            for name in _reliable_names(stored):
                child = stored[name]
                if name in held and child not in seen:
                    seen.add(child)
                    if self.objects.get(child) is not held[name]:
                        self.objects[child] = held[name]
                        waiting.append(child)

    def _make_slots(self) -> None:
        """Find the variables that optimizers keep for others; an optimizer is built once all of those are there."""
        for number, node in enumerate(self.nodes):
            optimizer = self.objects.get(number)
            if not node.slots or not is_optimizer(optimizer):
                continue
            kept_for = {slot.variable: self.objects.get(slot.variable) for slot in node.slots}
            if not optimizer.groups and all(isinstance(variable, Variable) for variable in kept_for.values()):
                optimizer.build(variables_in_order(self.root, kept_for.values()))
            for slot in node.slots:
                found = tf_graph.slot_of(optimizer, kept_for[slot.variable], slot.name)
                if found is not None:
                    self.objects[slot.node] = found

    def absent_by_design(self, gathered: tf_graph.Gathered) -> set[int]:
        """The ids of variables that TensorFlow's optimizers do not have, or not yet, where ours do.

        These are slots of variables that were never updated, and the hyper-parameters of tf_keras' newer optimizers.
        """
        found: set[int] = set()
        ours = {id(entry): node for node, entry in zip(gathered.nodes, gathered.objects, strict=True)}
        for number, node in enumerate(self.nodes):
            optimizer = self.objects.get(number)
            if not is_optimizer(optimizer):
                continue
            if "_variables" in node.children:
                found.update(id(gathered.objects[child]) for child in ours[id(optimizer)].children.values())
            kept_for = {id(self.objects.get(slot.variable)) for slot in node.slots}
            slots = [slot for slot in ours[id(optimizer)].slots if id(gathered.objects[slot.variable]) not in kept_for]
            found.update(id(gathered.objects[slot.node]) for slot in slots if kept_for)
        return found

    def _assign(self) -> None:
        found = []
        for number, variable in self.objects.items():
            key = self.nodes[number].key
            done = self.restored.get(number, ())
            if key is not None and isinstance(variable, Variable) and not any(variable is known for known in done):
                check_fits(self.bundle, key, variable)
                found.append((number, variable, key))
        values = [self.bundle.read(key) for _, _, key in found]
        for (number, variable, _), value in zip(found, values, strict=True):
            variable.assign(value)
            self.restored.setdefault(number, []).append(variable)


def _reliable_names(children: Mapping[str, int]) -> list[str]:
    """The names without a layer's place among all layers where its place among those with weights is stored too.

    Layers without weights may have been added or left out since.
    """
    with_weights = {child for name, child in children.items() if name.startswith("layer_with_weights-")}
    return [name for name, child in children.items() if not (name.startswith("layer-") and child in with_weights)]


def read_graph(bundle: Bundle) -> list[tf_graph.Node]:
    """The object graph that a checkpoint was saved with.

    Raises:
        FileFormatError: There is none, or it is damaged.
    """
    if tf_graph.GRAPH_KEY not in bundle.entries:
        raise FileFormatError(
            f"{bundle.prefix} holds arrays, {list(bundle.entries)[:3]}..., but no objects: it was written by "
            "TensorFlow 1's Saver. Read them with tf.train.load_variable(path, name)."
        )
    with reading(bundle.prefix, f"{tf_graph.GRAPH_KEY}: "):
        return tf_graph.decode(bytes(bundle.read(tf_graph.GRAPH_KEY).item()))


def check_fits(bundle: Bundle, key: str, variable: Variable) -> None:
    """Raise ValueError unless a stored array has a variable's shape and type."""
    if key not in bundle.entries:
        raise FileFormatError(f"{bundle.prefix}: {key!r} is missing, though its object graph refers to it.")
    entry = bundle.entries[key]
    if entry.shape != tuple(variable.shape):
        raise ValueError(
            f"The checkpoint {bundle.prefix} has the shape {entry.shape} for {key!r}, but the variable "
            f"{variable.name!r} has the shape {tuple(variable.shape)}: the model is not the one that was saved."
        )
    if entry.type_name != variable.dtype.name:
        raise ValueError(
            f"The checkpoint {bundle.prefix} has {entry.type_name} for {key!r}, but the variable {variable.name!r} is "
            f"{variable.dtype.name}: make it with dtype={entry.type_name!r}, or load the array by "
            "tf.train.load_variable and assign what tf.cast makes of it."
        )


# --- what came of it


class CheckpointLoadStatus:
    """What became of a checkpoint that was restored; the methods raise AssertionError if something is left over."""

    def __init__(self, restoration: Restoration) -> None:
        self._restoration = restoration

    def assert_consumed(self) -> CheckpointLoadStatus:
        """All values of the checkpoint were used, and all objects of the program found theirs."""
        self.assert_existing_objects_matched()
        restoration = self._restoration
        unused = [
            node.key
            for number, node in enumerate(restoration.nodes)
            if node.key is not None and number not in restoration.restored
        ]
        if unused:
            raise AssertionError(
                f"Unresolved object in checkpoint {restoration.bundle.prefix}: {len(unused)} values have no place in "
                f"the program, such as {unused[:3]}. Variables that are made later take theirs then; "
                "assert_existing_objects_matched() does not ask for these."
            )
        return self

    def assert_existing_objects_matched(self) -> CheckpointLoadStatus:
        """All variables of the program, those of optimizers too, took a value from the checkpoint."""
        restoration = self._restoration
        restoration.catch_up()
        with_value = {id(variable) for variables in restoration.restored.values() for variable in variables}
        gathered = tf_graph.gather(restoration.root)
        with_value |= restoration.absent_by_design(gathered)
        missing = [
            node.key
            for node, entry in zip(gathered.nodes, gathered.objects, strict=True)
            if node.key is not None and id(entry) not in with_value
        ]
        if missing:
            raise AssertionError(
                "Some Python objects were not bound to checkpointed values, likely due to changes in the Python "
                f"program: {len(missing)} variables, such as {missing[:3]}, are not in {restoration.bundle.prefix}."
            )
        return self

    def assert_nontrivial_match(self) -> CheckpointLoadStatus:
        """At least one variable took a value."""
        self._restoration.catch_up()
        if not self._restoration.restored:
            raise AssertionError(
                f"Nothing in the program matches the checkpoint {self._restoration.bundle.prefix}: the object that was "
                f"saved holds {list(self._restoration.nodes[0].children)[:8]}, this one "
                f"{list(children_of(self._restoration.root))[:8]}."
            )
        return self

    def expect_partial(self) -> CheckpointLoadStatus:
        """Say that it is meant that not everything fits; nothing warns of it here."""
        return self

    def initialize_or_restore(self, session: Any = None) -> None:
        """Of TensorFlow 1's graphs; values are restored already."""

    run_restore_ops = initialize_or_restore


class InitializationOnlyStatus:
    """What `restore(None)` gives: there is no checkpoint, and whatever is asserted of it fails."""

    def _fail(self) -> Any:
        raise AssertionError("No checkpoint specified (save_path=None); nothing is being restored.")

    assert_consumed = assert_existing_objects_matched = assert_nontrivial_match = _fail

    def expect_partial(self) -> InitializationOnlyStatus:
        return self

    def initialize_or_restore(self, session: Any = None) -> None:
        """Of TensorFlow 1's graphs; variables have their first values already."""

    run_restore_ops = initialize_or_restore


def restore(root: Any, prefix: str) -> CheckpointLoadStatus:
    """Give the objects that are reached from `root` the values that a checkpoint has for them.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        FileFormatError: It is damaged.
        ValueError: A value does not fit its variable; nothing is changed then.
    """
    restoration = Restoration(root, Bundle(prefix))
    restoration.go_on()
    return CheckpointLoadStatus(restoration)
