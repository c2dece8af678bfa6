"""Section ``model``: the checksums of the models, the device that a model runs on, and what its networks compute."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from livestyle.errors import DeviceError, ModelError

from .finding import Finding, Section, State

if TYPE_CHECKING:
    from livestyle.engine.stylizer import Stylizer
    from livestyle.styles.library import Style

PROBE_SIZE = 96, 131
"""Height and width of the frame on which devices are compared, in pixels; odd, since networks pad odd sizes."""
LEAST_PSNR = 25.0
"""dB from the float32 network on the CPU, below which what a device paints is not believed: the worst of the shipped
8-bit networks has 28."""


def check_models(chosen: str | None) -> Iterator[Finding]:
    """Findings on the files of the chosen model, and of the other ones that ship.

    Args:
        chosen: as `livestyle.engine.stylizer.Stylizer` takes it.
    """
    from livestyle.engine.model import DEFAULT_MODEL, Model, shipped_models

    first = chosen or DEFAULT_MODEL
    others = shipped_models()
    for name in (first, *(other for other in others if other != first)):
        title = f"model {name}"
        try:
            model = Model.load(name)
        except ModelError as error:
            state = State.BROKEN if name == first else State.WARNING
            mend = (
                "pip install --force-reinstall --no-deps, and the wheel or the checkout that livestyle came from"
                if name in (*others, DEFAULT_MODEL)
                else "copy the whole model folder again, or export it again with python -m export"
            )
            yield Finding(Section.MODEL, title, state, str(error), mend)
            continue
        size = sum(model.file(file).stat().st_size for file in model.manifest.files)
        text = f"all {len(model.manifest.files)} files have their checksums, {size / 2**20:.1f} MiB, in {model.folder}"
        yield Finding(Section.MODEL, title, State.OK, text, figures={"bytes": size, "folder": str(model.folder)})


def check_device(model: str | None, device: str) -> tuple[Stylizer | None, Finding]:
    """The stylizer that a program would get for these options, None where it would get none, and what it runs on."""
    from livestyle.engine.stylizer import Stylizer

    from .providers import has_nvidia_card

    try:
        stylizer = Stylizer(model, device)
    except ModelError as error:
        return None, Finding(Section.MODEL, "device", State.BROKEN, str(error), "mend the model first")
    except DeviceError as error:
        text, colon, mend = str(error).rpartition("): ")
        if not colon:
            text, mend = str(error), "choose another device with --device"
        text += ")" if colon else ""
        return None, Finding(Section.MODEL, "device", State.BROKEN, text, mend)
    text = f"{stylizer.device.text} ({platform.machine()}, {sys.platform})"
    figures = {"device": stylizer.device.name}
    if device == "auto" and stylizer.device.kind == "cpu" and has_nvidia_card():
        from livestyle.engine.devices import CUDA_HINT

        text += ": there is an NVIDIA card, and it is not used"
        return stylizer, Finding(Section.MODEL, "device", State.WARNING, text, CUDA_HINT, figures)
    return stylizer, Finding(Section.MODEL, "device", State.OK, text, figures=figures)


def check_painting(stylizer: Stylizer) -> Finding:
    """Finding on what the device paints, compared with the float32 network on the CPU, on a frame of an odd size."""
    import numpy as np

    from livestyle.engine.plugins import psnr
    from livestyle.engine.stylizer import Stylizer

    height, width = PROBE_SIZE
    ramp = np.linspace(0, 255, width)[None, :, None] * np.array([0.2, 0.6, 1.0])
    noise = np.random.default_rng(0).normal(0, 20, (height, width, 3))
    frame = np.clip(ramp + noise, 0, 255).astype(np.uint8)
    style = first_style(stylizer)
    painting = stylizer.stylize(frame, style.stats)
    exact = Stylizer(stylizer.model.folder, "cpu-float32").stylize(frame, style.stats)
    name = "painting"
    if painting.shape != frame.shape:
        text = f"a frame of {width}x{height} became one of {painting.shape[1]}x{painting.shape[0]}"
        return Finding(Section.MODEL, name, State.BROKEN, text, "choose another device with --device, and report it")
    decibels = psnr(painting, exact)
    mirrored = psnr(painting[..., ::-1], exact)
    size = f"a frame of {width}x{height} keeps its size and its colours (BGR)"
    figures = {"psnr": round(decibels, 1)}
    if decibels < LEAST_PSNR:
        wrong = "with blue and red exchanged" if mirrored > decibels + 6 else "wrongly"
        text = f"{stylizer.device.name} paints {wrong}: {decibels:.0f} dB from the float32 network on the CPU"
        mend = "livestyle ... --device cpu-float32 until the device is mended"
        return Finding(Section.MODEL, name, State.BROKEN, text, mend, figures)
    agreement = "as the float32 network" if decibels > 90 else f"{decibels:.0f} dB from the float32 network"
    return Finding(Section.MODEL, name, State.OK, f"{size}; {agreement} on the CPU", figures=figures)


def first_style(stylizer: Stylizer) -> Style:
    """First preset of a stylizer's model, as a `Style`; statistics of 1 where it has none."""
    import numpy as np

    from livestyle.engine.style import StyleStats
    from livestyle.styles.library import Style

    for name, values in stylizer.model.presets().items():
        return Style(name, StyleStats(values))
    return Style("plain", StyleStats(np.ones(stylizer.stats_size, np.float32)))
