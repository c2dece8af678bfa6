"""The contract of a model's networks, by which one of another origin is refused before anything is bound to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from livestyle.errors import DeviceError, ModelError, first_line
from livestyle.memory import is_memory_error

if TYPE_CHECKING:
    import numpy as np

    from .model import Model

Values = Mapping[str, tuple[str, tuple[int | None, ...]]]
"""Type, as onnxruntime calls it, and shape of each input or output, by name; None takes any length."""

_FLOAT, _UINT8 = "tensor(float)", "tensor(uint8)"
_FRAMES = (_UINT8, (None, None, None, 3))


def stylizing(model: Model, *, regions: bool) -> tuple[Values, Values]:
    """Inputs and outputs of ``stylize.onnx``, or of ``stylize.regions.onnx``."""
    stats, state = model.manifest.stats_size, (_FLOAT, (model.manifest.state_size,))
    inputs = {
        "frames": _FRAMES,
        "stats": (_FLOAT, (2, stats) if regions else (stats,)),
        "strength": (_FLOAT, ()),
        "content_state": state,
        "momentum": (_FLOAT, ()),
        **({"mask": (_UINT8, (None, None, None))} if regions else {}),
    }
    return inputs, {"stylized": _FRAMES, "next_content_state": state}


def encoding(model: Model) -> tuple[Values, Values]:
    """Input and output of ``style.onnx``."""
    return {"image": (_UINT8, (None, None, 3))}, {"stats": (_FLOAT, (model.manifest.stats_size,))}


CONSTANT: tuple[Values, Values] = ({"frames": _FRAMES}, {"stylized": _FRAMES})
"""Input and output of ``stylize.int8.constant.onnx``."""


def check_contract(session: Any, contract: tuple[Values, Values], name: str, model: Model) -> None:
    """Raise a `ModelError` for a network whose inputs and outputs are others; more outputs than these may be there.

    Args:
        session: of onnxruntime.
        contract: inputs and outputs.
        name: of the network's file.
        model: whose network it is.
    """
    inputs, outputs = contract
    for kind, values, found in (
        ("input", inputs, {value.name: value for value in session.get_inputs()}),
        ("output", outputs, {value.name: value for value in session.get_outputs()}),
    ):
        wrong = next((f"it lacks the {kind} {each}" for each in values if each not in found), None)
        for each, value in found.items():
            if each not in values:
                wrong = wrong or (f"it has an {kind} {each[:50]!r}" if kind == "input" else None)
            elif not _fits(value, *values[each]):
                shape, expected = _shown(value.type, value.shape), _shown(*values[each])
                wrong = wrong or f"its {kind} {each} is {shape} and not {expected}"
        if wrong is not None:
            raise ModelError(
                f"the network {name} in {model.folder} does not fit this livestyle and its manifest: {wrong}; "
                "export the model again"
            )


def _fits(value: Any, kind: str, shape: tuple[int | None, ...]) -> bool:
    sides = tuple(value.shape)
    return (
        value.type == kind
        and len(sides) == len(shape)
        and all(expected is None or side == expected for side, expected in zip(sides, shape, strict=True))
    )


def _shown(kind: str, shape: tuple[int | str | None, ...]) -> str:
    sides = ", ".join("any" if side is None else str(side)[:20] for side in shape)
    return f"{kind.removeprefix('tensor(').removesuffix(')')[:20]} [{sides}]"


@contextmanager
def explained_by(what: str) -> Iterator[None]:
    """Context in which onnxruntime's errors become a `DeviceError` that names what was painted: ``a frame``."""
    try:
        yield
    except Exception as error:
        if is_memory_error(error):
            raise DeviceError(f"there is not enough memory to paint {what}: try a smaller one") from error
        raise DeviceError(f"{what} could not be painted ({first_line(error)}): try a smaller one") from error


def explained(frames: np.ndarray) -> Any:
    """`explained_by` the size of frames, [N, H, W, 3]."""
    return explained_by(f"a frame of {frames.shape[2]}x{frames.shape[1]}")
