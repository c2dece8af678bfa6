"""The renderer: the one place where a frame becomes a painting, for cameras, videos, images and contact sheets alike.

In this order: mirror, scale, stabilise, stylize, enlarge, sharpen, fade, lay over, keep colours, side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from livestyle.engine.model import MINIMUM_SIDE
from livestyle.engine.stabilizer import SAMPLES, Stabilizer
from livestyle.engine.stylizer import check_image, check_mask
from livestyle.errors import InputError
from livestyle.limits import shown
from livestyle.media.depth import eight_bits
from livestyle.media.resize import resize

from .finishing import enlarged, finished, padded
from .look import check_look

if TYPE_CHECKING:
    from livestyle.engine.style import StyleStats
    from livestyle.engine.stylizer import Stylizer
    from livestyle.media.frames import BgrImage, Frame

    from .look import Look

COMPARED_ROWS = 64
"""One in so many rows of two frames is compared first."""
SNAPSHOT: dict[str, tuple[str, tuple[int | None, ...]]] = {
    "frames_since": ("i", ()),
    "values": ("f", (None,)),
    "last": ("f", (SAMPLES, SAMPLES, 3)),
    "mean": ("f", (None, None, 3)),
    "sparse": ("b", ()),
    "network_inputs": ("f", (None,)),
    "is_mirrored": ("b", ()),
}
"""Kind and shape of the arrays of a snapshot, by name; None is any length."""


class Renderer:
    """Paints the frames of one sequence, a camera's or a video's, in their order.

    It carries from frame to frame what holds the sequence still (`Stabilizer`). All of that restarts at a scene cut and
    where the frame itself is changed otherwise (mirrored, or shown plain in between); the running statistics restart
    where the style, its strength or the background changes, see docs/rendering.md for why.

    Args:
        stylizer: model and device.

    Example:
        >>> renderer = Renderer(Stylizer())
        >>> for frame in open_source("0"):
        ...     painted = renderer.render(frame, look)
    """

    def __init__(self, stylizer: Stylizer) -> None:
        self._stylizer = stylizer
        self._stabilizer = Stabilizer()
        self._is_mirrored: bool | None = None
        self._network_inputs: np.ndarray | None = None
        self._last: tuple[_Inputs, np.ndarray] | None = None

    def render(
        self,
        frame: Frame | np.ndarray,
        look: Look,
        *,
        time: Fraction | float | None = None,
        scale: float = 1.0,
    ) -> np.ndarray:
        """Painting of the next frame of the sequence.

        A frame equal to the one before, in the same look, style and mask, is painted once: a still camera and the
        repeated frames of a cartoon cost nothing.

        A frame of 16 bits a channel gives a painting of 16: the network paints in 8, which are dithered, while what is
        left as it is, laid over or kept of the colours has its full depth.

        Args:
            frame: a frame, or uint8 or uint16 [H, W, 3] BGR, of any size.
            look: how to paint it.
            time: in seconds, at which a style or a mask that changes is taken; None is the frame's, or 0 of an array.
            scale: share of width and height to paint at, 0..1, for speed; 64 pixels are the least.

        Returns:
            uint8 or uint16 as the frame, [H, W, 3] BGR, or [H, 2 W, 3] side by side. Draw on a copy only: for a
            repeated frame the same array comes back, and where nothing is painted it is the frame's own.

        Raises:
            InputError: ``frame`` is no such array, or the mask does not fit it.
            StyleError: the style belongs to another model.
            ModelError: the model cannot paint in two styles at once.
            DeviceError: the device cannot paint a frame of this size.
        """
        inputs = _Inputs.of(frame, look, time, scale)
        if self._last is not None and inputs.equal(self._last[0]):
            return self._last[1]
        (painting,) = self._render([inputs])
        if isinstance(frame, np.ndarray):
            # A copy: a program that reads into one buffer changes the array before it comes again.
            inputs = inputs._replace(image=frame.copy())
        self._last = inputs, painting
        return painting

    @property
    def batch(self) -> int:
        """Number of frames that are best given to `render_batch` at once: more than one on CUDA."""
        return self._stylizer.batch

    def render_batch(self, frames: Sequence[Frame], look: Look) -> list[np.ndarray]:
        """Paintings of the next frames of the sequence, as by `render` one after another.

        The network paints several in one run where the device is faster so, and they share style, size and depth.

        Args:
            frames: of a video; `batch` of them are best.
            look: how to paint them; errors are those of `render`.
        """
        paintings: list[np.ndarray] = []
        waiting: list[_Inputs] = []

        def paint() -> None:
            if waiting:
                painted = self._render(waiting)
                self._last = waiting[-1], painted[-1]
                paintings.extend(painted)
                waiting.clear()

        for frame in frames:
            inputs = _Inputs.of(frame, look, None, 1.0)
            last = waiting[-1] if waiting else None if self._last is None else self._last[0]
            if last is not None and inputs.equal(last):
                paint()
                assert self._last is not None
                paintings.append(self._last[1])
                continue
            if waiting and not inputs.fits(waiting[-1]):
                paint()
            waiting.append(inputs)
        paint()
        return paintings

    def reset(self) -> None:
        """Forget the frames before, as at the beginning of another sequence."""
        self._stabilizer.reset()
        self._is_mirrored = self._network_inputs = self._last = None

    def renew_constants(self) -> None:
        """Let the constant form of the network take its values from the next frame.

        Two renderers that do so at the same frame paint alike from there on, whatever came long before.
        """
        self._stabilizer.renew_constants()

    def snapshot(self) -> dict[str, np.ndarray]:
        """State for `restore`, to go on from here in another process: arrays by name.

        The next frame is painted anew even where it is the last one again, as it is after `restore`.
        """
        self._last = None
        state = self._stabilizer.snapshot()
        if self._network_inputs is not None:
            state["network_inputs"] = self._network_inputs
        if self._is_mirrored is not None:
            state["is_mirrored"] = np.array(self._is_mirrored)
        return state

    def restore(self, snapshot: Mapping[str, np.ndarray]) -> None:
        """Be in the state in which another renderer was when its `snapshot` was taken.

        Raises:
            InputError: it is no such snapshot.
        """
        if not isinstance(snapshot, Mapping) or not all(isinstance(array, np.ndarray) for array in snapshot.values()):
            raise InputError("a snapshot has arrays by name, as Renderer.snapshot gives them")
        for name, array in snapshot.items():
            kind, shape = SNAPSHOT.get(name, ("", ()))
            fits = len(shape) == array.ndim and all(b in (a, None) for a, b in zip(array.shape, shape, strict=True))
            if array.dtype.kind != kind or not fits or (kind == "f" and array.dtype != np.float32):
                raise InputError(f"{shown(name)} is no part of a snapshot, or does not fit it")
        self._stabilizer.restore(snapshot)
        self._network_inputs = snapshot.get("network_inputs")
        mirrored = snapshot.get("is_mirrored")
        self._is_mirrored = None if mirrored is None else bool(mirrored)
        self._last = None

    def _render(self, inputs: Sequence[_Inputs]) -> list[np.ndarray]:
        """Paintings of frames that fit each other, see `_Inputs.fits`."""
        look = inputs[0].look
        images, masks = [i.image for i in inputs], [i.mask for i in inputs]
        if look.mirror:
            images = [_mirrored(image) for image in images]
            masks = [None if mask is None else _mirrored(mask) for mask in masks]
        if look.plain:
            self.reset()
            return images
        self._follow(inputs[0])
        for image, mask in zip(images, masks, strict=True):
            if mask is not None:
                check_mask(mask, image)
        wholes = [padded(image) for image in images]
        whole_masks = [None if mask is None else padded(mask) for mask in masks]
        painted = self._paint([eight_bits(whole) for whole in wholes], whole_masks, inputs[0])
        return [
            finished(*parts, look, inputs[0].background is None)
            for parts in zip(images, wholes, whole_masks, painted, strict=True)
        ]

    def _paint(
        self, images: Sequence[BgrImage], masks: Sequence[np.ndarray | None], inputs: _Inputs
    ) -> Sequence[BgrImage]:
        """Paintings at the size of the frames, which may be painted at less and enlarged."""
        look = inputs.look
        height, width = images[0].shape[:2]
        factor = min(1.0, max(min(1 / look.stroke_size, inputs.scale), MINIMUM_SIDE / min(height, width)))
        reduced = [resize(image, round(width * factor), round(height * factor)) for image in images]
        regions = None
        if inputs.background is not None and masks[0] is not None:
            size = reduced[0].shape[1::-1]
            regions = np.stack([resize(mask, *size) for mask in masks if mask is not None])
        painted = self._stylizer.stylize(
            np.stack(reduced) if len(reduced) > 1 else reduced[0],
            inputs.style,
            look.strength,
            self._stabilizer if look.stabilise else None,
            mask=regions if regions is None or len(reduced) > 1 else regions[0],
            background=inputs.background,
        )
        each = painted if len(reduced) > 1 else [painted]
        return [
            paint if small is image else enlarged(paint, small, image, look.strength)
            for paint, small, image in zip(each, reduced, images, strict=True)
        ]

    def _follow(self, inputs: _Inputs) -> None:
        """Restart what no longer fits what comes now."""
        look = inputs.look
        if look.mirror is not self._is_mirrored or not look.stabilise:
            self._stabilizer.reset()
        self._is_mirrored = look.mirror
        given = np.concatenate(
            [[look.strength], *(s.values for s in (inputs.style, inputs.background) if s is not None)]
        ).astype(np.float32)
        if self._network_inputs is not None and not np.array_equal(given, self._network_inputs):
            self._stabilizer.reset_statistics()
        self._network_inputs = given


class _Inputs(NamedTuple):
    """All that a painting depends on beside the frames before."""

    image: np.ndarray
    look: Look
    scale: float
    style: StyleStats
    background: StyleStats | None
    mask: np.ndarray | None

    @classmethod
    def of(cls, frame: Frame | np.ndarray, look: Look, time: Fraction | float | None, scale: float) -> _Inputs:
        """The inputs of a frame; arguments are those of `Renderer.render`."""
        image = frame if isinstance(frame, np.ndarray) else frame.pixels
        if time is None:
            time = 0 if isinstance(frame, np.ndarray) else frame.time
        check_image(image, "a frame", deep=True)
        check_look(look)
        return cls(
            image,
            look,
            scale,
            look.style.stats_at(time),
            None if look.background is None else look.background.stats_at(time),
            None if look.mask is None else look.mask.at(time, image.shape[1], image.shape[0]),
        )

    def fits(self, other: _Inputs) -> bool:
        """Whether the network can paint it in one run with another frame."""
        return (
            not self.look.plain
            and self.look is other.look
            and self.style is other.style
            and self.background is other.background
            and (self.mask is None) is (other.mask is None)
            and self.image.shape == other.image.shape
            and self.image.dtype == other.image.dtype
        )

    def equal(self, other: _Inputs) -> bool:
        """Whether the same painting comes out, where nothing came between them; images may be equal copies."""
        return (
            self.look is other.look
            and self.scale == other.scale
            and self.style is other.style
            and self.background is other.background
            and self.mask is other.mask
            and (self.image is other.image or _equal(self.image, other.image))
        )


def _equal(image: np.ndarray, other: np.ndarray) -> bool:
    """Whether two images are equal; of frames with noise a few rows tell that they are not."""
    return np.array_equal(image[::COMPARED_ROWS], other[::COMPARED_ROWS]) and np.array_equal(image, other)


def _mirrored(image: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.flip(image, 1)
