"""Places of a convolution's result whose windows hold the same elements of the kernel."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """Places of the result along one axis whose windows hold the same elements of the kernel.

    Attributes:
        places: the places.
        origins: for each place, where in the source the first of these elements falls.
        elements: the elements of the kernel, ascending; none if nothing reaches these places.
        shifts: where each element falls, from where the first does.
    """

    places: tuple[int, ...]
    origins: tuple[int, ...]
    elements: tuple[int, ...]
    shifts: tuple[int, ...]


@functools.lru_cache(maxsize=512)
def forward_groups(count: int, extent: int, kernel: int, stride: int, dilation: int, before: int) -> tuple[Group, ...]:
    """Groups of the `count` places of a convolution's result.

    Place i meets the image, of `extent` places, at i*stride + k*dilation - before for each element k.
    """
    meetings = ([(k, i * stride + k * dilation - before) for k in range(kernel)] for i in range(count))
    return _grouped(meetings, extent)


@functools.lru_cache(maxsize=512)
def gradient_groups(count: int, extent: int, kernel: int, stride: int, dilation: int, before: int) -> tuple[Group, ...]:
    """Groups of the `count` places of the images.

    Place h receives from place (h + before - k*dilation) / stride, a whole number, of `extent` places, for each k.
    """
    meetings = ([(k, *divmod(h + before - k * dilation, stride)) for k in range(kernel)] for h in range(count))
    whole = ([(k, place) for k, place, rest in pairs if rest == 0] for pairs in meetings)
    return _grouped(whole, extent)


def _grouped(meetings: Iterable[list[tuple[int, int]]], extent: int) -> tuple[Group, ...]:
    """Groups of places, given for each place its pairs (element, place in the source); sources outside do not count."""
    found: dict[tuple, tuple[list[int], list[int]]] = {}
    for place, pairs in enumerate(meetings):
        inside = [(k, at) for k, at in pairs if 0 <= at < extent]
        origin = inside[0][1] if inside else 0
        key = tuple(k for k, _ in inside), tuple(at - origin for _, at in inside)
        places, origins = found.setdefault(key, ([], []))
        places.append(place)
        origins.append(origin)
    return tuple(Group(tuple(places), tuple(origins), *key) for key, (places, origins) in found.items())
