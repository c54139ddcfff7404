"""What a case of a layer is."""

from __future__ import annotations

from typing import Any, NamedTuple


class Case(NamedTuple):
    """A layer and what it is called on; several shapes mean a list of inputs."""

    name: str
    layer: str
    arguments: dict[str, Any]
    shapes: list[tuple[int, ...]]
    call: dict[str, Any]
    integers: int = 0  # inputs are whole numbers below this
    masked: tuple[int, ...] = ()  # which inputs carry a mask of their first two axes


def case(
    layer: str,
    arguments: dict | None = None,
    *shapes: tuple[int, ...],
    integers: int = 0,
    masked: tuple[int, ...] = (),
    **call: Any,
) -> Case:
    shown = {**(arguments or {}), **call, **({"masked": masked} if masked else {})}
    labels = {key: value["class_name"] if key == "layer" else value for key, value in shown.items()}
    label = "-".join(f"{key}={value}" for key, value in labels.items() if not isinstance(value, dict))
    return Case(
        f"{layer}-{label}-{'_'.join('x'.join(map(str, shape)) for shape in shapes)}",
        layer,
        arguments or {},
        list(shapes),
        call,
        integers,
        masked,
    )


IMAGE, SEQUENCE, ROW = (4, 7, 6, 3), (4, 5, 3), (4, 6)
