"""The engine as a candidate: frames of a still, slightly noisy scene through a stylizer, in one style at rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from livestyle.engine.model import STYLIZE, STYLIZE_INT8, Model, package_folder
from livestyle.engine.stabilizer import Stabilizer
from livestyle.engine.stylizer import Stylizer
from livestyle.media.capture.sources import open_source
from livestyle.media.resize import resize
from livestyle.styles.library import StyleLibrary

from .plan import NOISE
from .timing import WarmUp, form_of

if TYPE_CHECKING:
    from livestyle.media.frames import BgrImage

FRAMES = 8
"""Different frames, which come over and over."""


class EngineCandidate:
    """A stylizer that paints a sequence at rest: `Stylizer.stylize` with a `Stabilizer`, in the model's first style.

    Args:
        model: as `Stylizer` takes it.
        device: the same.
        threads: the same.
        frames: uint8 [H, W, 3] BGR.
    """

    def __init__(self, model: str, device: str, threads: int | None, frames: list[BgrImage]) -> None:
        self._stylizer = Stylizer(model, device, threads)
        self._stats = StyleLibrary(self._stylizer).first().stats
        self._state = Stabilizer()
        self._frames = frames
        self._number = 0
        self._forms: set[str] = set()

    @property
    def form(self) -> str:
        """Form of the network that painted the frames since the warm-up; both, where it changed meanwhile."""
        return " and ".join(sorted(self._forms)) or form_of(self._stylizer)

    def warm_up(self) -> None:
        warm_up = WarmUp(self._stylizer)
        while True:
            self.run()
            if warm_up.ends():
                self._forms.clear()
                return

    def run(self) -> None:
        self._number += 1
        self._stylizer.stylize(self._frames[self._number % len(self._frames)], self._stats, state=self._state)
        self._forms.add(form_of(self._stylizer))


def noisy_frames(width: int, height: int) -> list[BgrImage]:
    """A still with fresh Gaussian noise in every frame, as a camera at rest gives it: uint8 [height, width, 3] BGR."""
    with open_source(package_folder("assets") / "demo.mp4") as video:
        still = resize(next(iter(video)).image, width, height)
    random = np.random.default_rng(0)
    noise = (random.normal(0, NOISE, still.shape).astype(np.float32) for _ in range(FRAMES))
    return [np.rint(still + each).clip(0, 255).astype(np.uint8) for each in noise]


def precision_of(stylizer: Stylizer) -> str:
    """Number format of the convolutions of a stylizer's network: ``int8``, ``float32`` or ``float16``."""
    if stylizer.device.kind != "cpu":
        return "float16"
    return "int8" if STYLIZE_INT8 in stylizer.model.manifest.files and not stylizer.device.exact else "float32"


def network_inputs(model: Model, frame: BgrImage, precision: str = "float32") -> tuple[Path, dict[str, np.ndarray]]:
    """File of a model's network, and inputs for one frame by the contract of `livestyle.engine.model`.

    Args:
        model: that it belongs to.
        frame: uint8 [H, W, 3].
        precision: ``int8`` is the 8-bit network, which leaves out channels that never fire; else the float32 one, whose
            work is that of the float16 one too.
    """
    manifest = model.manifest
    inputs = {
        "frames": frame[None],
        "stats": np.ones(manifest.stats_size, np.float32),
        "strength": np.float32(1),
        "content_state": np.ones(manifest.state_size, np.float32),
        "momentum": np.float32(0),
    }
    return model.file(STYLIZE_INT8 if precision == "int8" else STYLIZE), {
        name: np.asarray(value) for name, value in inputs.items()
    }
