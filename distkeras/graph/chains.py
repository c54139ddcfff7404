"""Chains: steps that follow each other run chunk by chunk of samples, so that what one gives the next is in the cache.

    convolution --[128, 26, 26, 32], 11 MB--> max pool            step by step: through memory

    8 samples:  convolution --0.7 MB--> max pool                  as a chain: the 0.7 MB are written over by each chunk,
    8 samples:  convolution --0.7 MB--> max pool                  and stay in the second-level cache
    ...

How a step acts on some of the samples its primitives' rule `cut` says (`core.rows`). Sums over the samples are added up
chunk after chunk. Values that nothing outside of the chain uses are never in memory as a whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from distkeras.core.rows import SUM, Rows, elementwise_rows
from distkeras.core.spec import TensorSpec
from distkeras.graph.fuse import Group
from distkeras.graph.ir import Equation, Graph, Value
from distkeras.graph.lowering import Step
from distkeras.graph.memory import Lifetime
from distkeras.kernels.caches import second_level_bytes

# Shares of the second-level cache. A value of fewer bytes is still there when it is wanted. Of a chunk's values, those
# that stay inside take so many, with what passes by, which is not to stay, counted half.
LEAST_SHARE, CHUNK_SHARE, PASSING = 1, 0.5, 0.5
# What each chunk needs besides its rows, weights or sums, is read and prepared anew for each: at most so many bytes for
# one of its rows. Products with large weights are slower if there are few rows for these.
MOST_WHOLE = 0.1
_MOST_TRIES = 256  # graphs of unrolled loops have thousands of steps


@dataclass(eq=False)
class Member:
    """A step of a chain.

    Attributes:
        step: What it is over all samples.
        rows: How it acts on some of them.
    """

    step: Step
    rows: Rows

    @property
    def is_alias(self) -> bool:
        """Whether its output is its input's memory seen otherwise."""
        return isinstance(self.step, Equation) and self.step.primitive.alias is not None

    def kinds(self) -> Iterable[tuple[Value, int]]:
        """Its values, each with the number of its rows that belong to a sample; 0 for a whole one, or SUM."""
        yield from zip(self.step.inputs, self.rows.inputs, strict=True)
        yield from zip(self.step.outputs, self.rows.outputs, strict=True)


@dataclass(eq=False)
class Chain:
    """Steps to be run chunk by chunk.

    Attributes:
        members: The steps, in order.
        samples: How many there are.
        size: How many a chunk has; the last one may have fewer.
        inputs, outputs: The values that it takes from outside, and gives to it.
        inside: The other values.
    """

    members: list[Member]
    samples: int
    size: int
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    inside: tuple[Value, ...]

    def __str__(self) -> str:
        lines = "\n".join(str(member.step) for member in self.members).replace("\n", "\n  ")
        return f"{self.size} of {self.samples} samples at a time:\n  {lines}"

    def ranges(self) -> list[tuple[int, int]]:
        """The samples of each chunk."""
        starts = range(0, self.samples, self.size)
        return [(start, min(start + self.size, self.samples)) for start in starts]


def chain(steps: Sequence[Step], graph: Graph) -> list[Step | Chain]:
    """The same steps, some of them in chains."""
    least = int(LEAST_SHARE * second_level_bytes())
    if not any(value.spec.nbytes >= least for step in steps for value in step.outputs):
        return list(steps)
    finder = _Finder(steps, graph, least)
    return finder.ordered(finder.find(set(filter(finder.may_join, range(len(steps))))))


class _Finder:
    """Looks for chains among steps, which it calls by their numbers."""

    def __init__(self, steps: Sequence[Step], graph: Graph, least: int) -> None:
        self._steps = steps
        self._graph = graph
        self._least = least
        self._users: dict[Value, list[int]] = defaultdict(list)
        self._regions: list[int] = []  # what has an effect keeps its place among all steps
        region = 0
        for index, step in enumerate(steps):
            region += _has_effect(step)
            self._regions.append(region)
            region += _has_effect(step)
            for value in step.inputs:
                self._users[value].append(index)
        for value in graph.outputs:
            self._users[value].append(-1)

    def may_join(self, index: int) -> bool:
        """Whether the step can be cut at all."""
        step = self._steps[index]
        return isinstance(step, Group) or bool(step.primitive.expr or step.primitive.cut) and not _has_effect(step)

    def find(self, candidates: set[int]) -> list[Chain]:
        """Chains of steps among the candidates."""
        found: list[Chain] = []
        left = [candidates]
        for _ in range(_MOST_TRIES):
            if not left:
                break
            for linked in self._components(left.pop()):
                chain_or_hindrance = self._examine(linked)
                if isinstance(chain_or_hindrance, Chain):
                    found.append(chain_or_hindrance)
                elif chain_or_hindrance is not None:
                    left.append({*linked} - {chain_or_hindrance})
        return found

    def _components(self, candidates: set[int]) -> list[list[int]]:
        """Steps that large values link which nothing else uses."""
        leader = {index: index for index in candidates}

        def first(index: int) -> int:
            while leader[index] != index:
                index = leader[index]
            return index

        for index in sorted(candidates):
            for value in self._steps[index].outputs:
                if self._is_link(value, index, candidates):
                    for user in self._users[value]:
                        low, high = sorted((first(index), first(user)))
                        leader[high] = low
        components: dict[int, list[int]] = defaultdict(list)
        for index in sorted(candidates):
            components[first(index)].append(index)
        return [linked for linked in components.values() if len(linked) > 1]

    def _is_link(self, value: Value, index: int, members: set[int]) -> bool:
        users, region = self._users[value], self._regions[index]
        return (
            value.spec.nbytes >= self._least
            and bool(users)
            and all(user in members and self._regions[user] == region for user in users)
        )

    def _examine(self, linked: list[int]) -> Chain | int | None:
        """The chain that these steps make; else one that hinders it; None if it is not worth while."""
        members, given = {*linked}, [(index, value) for index in linked for value in self._steps[index].outputs]
        links = [value for index, value in given if self._is_link(value, index, members)]
        samples = min((value.spec.shape[0] for value in links if value.spec.shape), default=0)
        if samples < 2:
            return None
        found = self._cut_all(linked, samples)
        if isinstance(found, int):
            return found
        rows = {value for member in found for value, kind in member.kinds() if kind > 0}
        inside = [value for _, value in given if value in rows and members.issuperset(self._users[value])]
        for index, member in zip(linked, found, strict=True):
            if member.is_alias and member.step.outputs[0] not in inside:
                return index  # what is outside has memory of its own
        return self._sized(linked, found, samples, inside)

    def _cut_all(self, linked: list[int], samples: int) -> list[Member] | int:
        """The steps as members of a chain, or one that cannot be."""
        members = {*linked}
        units: dict[Value, int] = {}
        later: set[Value] = set()  # what is known only after the chain
        found: list[Member] = []
        for index in range(linked[0], linked[-1] + 1):
            step = self._steps[index]
            if index in members:
                rows = _cut(step, units, samples) if later.isdisjoint(step.inputs) else None
                if rows is None:
                    return index
                found.append(Member(step, rows))
                kinds = dict(zip(step.outputs, rows.outputs, strict=True))
                units.update((value, kind) for value, kind in kinds.items() if kind != SUM)
                later.update(value for value, kind in kinds.items() if kind == SUM)
            elif not later.isdisjoint(step.inputs) or not units.keys().isdisjoint(step.inputs):
                later.update(step.outputs)
        return found

    def _sized(self, linked: list[int], members: list[Member], samples: int, inside: list[Value]) -> Chain | int | None:
        """The chain in chunks of a size that the cache holds; a step that wants too much for each."""
        mine = dict.fromkeys(value for member in members for value in member.step.outputs)
        inputs = dict.fromkeys(value for member in members for value in member.step.inputs if value not in mine)
        lifetimes = lifetimes_inside(members, inside)
        most = 0
        for place, member in enumerate(members):
            held = sum(life.nbytes for life in lifetimes.values() if life.first <= place <= life.last)
            most = max(most, held + PASSING * _bytes(member, lambda value, kind: kind > 0 and value not in inside))
        size = _chunk_size(samples, int(CHUNK_SHARE * second_level_bytes() * samples / max(most, 1)))
        if not 0 < size < samples:
            return None
        for index, member in zip(linked, members, strict=True):
            whole = _bytes(member, lambda value, kind: kind <= 0)
            if whole > MOST_WHOLE * _bytes(member, lambda value, kind: kind > 0) * size / samples:
                return index
        outputs = tuple(value for value in mine if value not in inside)
        return Chain(members, samples, size, tuple(inputs), outputs, tuple(inside))

    def ordered(self, chains: list[Chain]) -> list[Step | Chain]:
        """All steps, each chain where its last one was; what needs it comes after."""
        order = self._order(chains)
        while order is None:  # two chains that need each other
            chains = chains[:-1]
            order = self._order(chains)
        return order

    def _order(self, chains: list[Chain]) -> list[Step | Chain] | None:
        of_step = {member.step: found for found in chains for member in found.members}
        done: list[Step | Chain] = []
        waiting: list[Step | Chain] = []
        known = set(self._graph.sources())
        for step in self._steps:
            found = of_step.get(step)
            if found is None or step is found.members[-1].step:
                waiting.append(step if found is None else found)
            ready = True
            while ready:
                ready = [node for node in waiting if known.issuperset(node.inputs)]
                waiting = [node for node in waiting if node not in ready]
                done += ready
                known.update(value for node in ready for value in node.outputs)
            if waiting and _has_effect(step):
                return None
        return done if not waiting else None


def _chunk_size(samples: int, most: int) -> int:
    """At most so many, in chunks of nearly one size, if they can be an even number of samples: kernels take pairs."""
    if most < 2:
        return most
    return min(most, -(-samples // -(-samples // most)) + 1) // 2 * 2


def _has_effect(step: Step) -> bool:
    return isinstance(step, Equation) and step.primitive.effect


def _cut(step: Step, units: dict[Value, int], samples: int) -> Rows | None:
    """How a step acts on some of the samples, given how many rows of its inputs belong to one; None if it cannot."""
    known = tuple(units.get(value, 0) for value in step.inputs)
    specs = tuple(value.spec for value in step.inputs)
    often = [spec.shape[0] // samples if spec.shape and not spec.shape[0] % samples else 0 for spec in specs]
    guesses = [known] if any(known) else [_only(unit, i, len(specs)) for i, unit in enumerate(often) if unit]
    for guess in guesses:
        rows = _rule(step, guess, specs, samples)
        if rows is not None and not rows.has_replica and 0 not in rows.outputs:
            agrees = all(unit in (0, kind) for unit, kind in zip(known, rows.inputs, strict=True))
            return rows if agrees else None
    return None


def _only(unit: int, place: int, count: int) -> tuple[int, ...]:
    return tuple(unit if i == place else 0 for i in range(count))


def _rule(step: Step, units: tuple[int, ...], specs: tuple[TensorSpec, ...], samples: int) -> Rows | None:
    if isinstance(step, Group) or step.primitive.expr:
        rows = elementwise_rows(units, specs, samples, step.outputs[0].spec)
    else:
        rows = step.primitive.cut(units, specs, samples, **step.params)
    if rows is None or len(rows.outputs) == len(step.outputs):
        return rows
    return rows._replace(outputs=rows.outputs * len(step.outputs))


def _bytes(member: Member, counts: Callable[[Value, int], bool]) -> int:
    return sum(value.spec.nbytes for value, kind in member.kinds() if counts(value, kind))


def lifetimes_inside(members: Sequence[Member], inside: Iterable[Value]) -> dict[Value, Lifetime]:
    """When values that stay inside of a chain are alive; not of those that are others seen otherwise."""
    roots: dict[Value, Value] = {}
    lifetimes: dict[Value, Lifetime] = {}
    kept = {*inside}
    for place, member in enumerate(members):
        for value in member.step.inputs:
            root = roots.get(value, value)
            if root in lifetimes:
                lifetimes[root].last = place
        for value in kept.intersection(member.step.outputs):
            if member.is_alias:
                source = member.step.inputs[0]
                roots[value] = roots.get(source, source)
            else:
                lifetimes[value] = Lifetime(value.spec.nbytes, place, place)
    return lifetimes
