"""The renderer: the one place where a frame becomes a painting, for cameras, videos, images and contact sheets alike.

In this order: mirror, scale, stabilise, stylize, enlarge, sharpen, fade, lay over, keep colours, side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from livestyle.engine.model import MINIMUM_SIDE
from livestyle.engine.stabilizer import SAMPLES, Stabilizer
from livestyle.engine.stylizer import check_image, check_mask
from livestyle.media.depth import dithered, eight_bits, is_deep, sixteen_bits
from livestyle.media.resize import resize

from .color import ColorMode, keep_colors
from .upsampling import guided_upsample

if TYPE_CHECKING:
    from livestyle.engine.style import StyleStats
    from livestyle.engine.stylizer import Stylizer
    from livestyle.media.frames import BgrImage, Frame

    from .look import Look

FAINT_DEVIATION = 10.0
"""Standard deviation of a frame's colours, in grey levels, from which on it is painted in full. A photograph of bare
asphalt has 12; the end of a fade to black, a covered lens and an empty wall have less."""
SAMPLED_ROWS = 9
"""One in so many rows of a frame is enough to find that it is not faint, if it is far from it."""
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
GUIDED_SCALE = 0.55
"""Share of a frame's width up to which a painting is enlarged with the frame as a guide; above, nobody sees it."""
SHARPEN_RADIUS = 1 / 360
"""Standard deviation of the Gaussian of unsharp masking, of the short side."""
SHARPEN_AMOUNT = 1.5
"""Amount of unsharp masking at a sharpness of 1."""


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
        image = frame if isinstance(frame, np.ndarray) else frame.pixels
        if time is None:
            time = 0 if isinstance(frame, np.ndarray) else frame.time
        check_image(image, "a frame", deep=True)
        inputs = _Inputs(
            image,
            look,
            scale,
            look.style.stats_at(time),
            None if look.background is None else look.background.stats_at(time),
            None if look.mask is None else look.mask.at(time, image.shape[1], image.shape[0]),
        )
        if self._last is not None and inputs.equal(self._last[0]):
            return self._last[1]
        painting = self._render(inputs)
        if isinstance(frame, np.ndarray):
            # A copy: a program that reads into one buffer changes the array before it comes again.
            inputs = inputs._replace(image=image.copy())
        self._last = inputs, painting
        return painting

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
            ValueError: it is no such snapshot.
        """
        for name, array in snapshot.items():
            kind, shape = SNAPSHOT.get(name, ("", ()))
            fits = len(shape) == array.ndim and all(b in (a, None) for a, b in zip(array.shape, shape, strict=True))
            if array.dtype.kind != kind or not fits or (kind == "f" and array.dtype != np.float32):
                raise ValueError(f"{name} is no part of a snapshot")
        self._stabilizer.restore(snapshot)
        self._network_inputs = snapshot.get("network_inputs")
        mirrored = snapshot.get("is_mirrored")
        self._is_mirrored = None if mirrored is None else bool(mirrored)
        self._last = None

    def _render(self, inputs: _Inputs) -> np.ndarray:
        image, look, mask = inputs.image, inputs.look, inputs.mask
        if look.mirror:
            image, mask = _mirrored(image), None if mask is None else _mirrored(mask)
        if look.plain:
            self.reset()
            return image
        self._follow(inputs)
        height, width = image.shape[:2]
        if mask is not None:
            check_mask(mask, image)
        whole, whole_mask = _padded(image), None if mask is None else _padded(mask)
        painted: np.ndarray = self._paint(eight_bits(whole), whole_mask, inputs)
        if is_deep(whole):
            painted = whole.copy() if look.strength == 0 else dithered(painted)
        _sharpen(painted, look.sharpness)
        _fade_faint(whole, painted)
        if whole_mask is not None and inputs.background is None:
            painted = lay_over(whole, painted, whole_mask)
        painted = painted[:height, :width]
        if look.color is ColorMode.CONTENT:
            painted = keep_colors(image, painted)
        return np.hstack([image, painted]) if look.side_by_side else np.ascontiguousarray(painted)

    def _paint(self, image: BgrImage, mask: np.ndarray | None, inputs: _Inputs) -> BgrImage:
        """A painting at the size of the frame, which may be painted at less and enlarged."""
        look = inputs.look
        height, width = image.shape[:2]
        factor = min(1.0, max(min(1 / look.stroke_size, inputs.scale), MINIMUM_SIDE / min(height, width)))
        reduced = resize(image, round(width * factor), round(height * factor))
        if inputs.background is None:
            mask = None
        elif mask is not None:
            mask = resize(mask, reduced.shape[1], reduced.shape[0])
        painted = self._stylizer.stylize(
            reduced,
            inputs.style,
            look.strength,
            self._stabilizer if look.stabilise else None,
            mask=mask,
            background=inputs.background,
        )
        return painted if reduced is image else _enlarged(painted, reduced, image, look.strength)

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


def _padded(image: np.ndarray) -> np.ndarray:
    """An image of at least 64 x 64 pixels, which the network needs: mirrored at its lower and right edges."""
    import cv2

    below, right = max(0, MINIMUM_SIDE - image.shape[0]), max(0, MINIMUM_SIDE - image.shape[1])
    return cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REFLECT) if below or right else image


def _enlarged(painted: BgrImage, reduced: BgrImage, whole: BgrImage, strength: float) -> BgrImage:
    """A painting of the reduced frame at the whole frame's size, see `guided_upsample`.

    Below full strength the detail that reducing has cost comes back from the frame, as much as strength lacks.
    """
    import cv2

    height, width = whole.shape[:2]
    if painted.shape[1] <= GUIDED_SCALE * width:
        enlarged = guided_upsample(painted, reduced, whole, strength)
    else:
        enlarged = resize(painted, width, height)
    if strength == 1:
        return enlarged
    lost = 1 - strength
    detail = cv2.addWeighted(whole, lost, resize(reduced, width, height), -lost, 0, dtype=cv2.CV_32F)
    return cast("BgrImage", cv2.add(enlarged, detail, dtype=cv2.CV_8U))


def _sharpen(painted: np.ndarray, sharpness: float) -> None:
    """Unsharp masking of a painting, in place, with a radius that grows with the image."""
    import cv2

    if sharpness:
        blurred = cv2.GaussianBlur(painted, (0, 0), max(1.0, SHARPEN_RADIUS * min(painted.shape[:2])))
        amount = SHARPEN_AMOUNT * sharpness
        cv2.addWeighted(painted, 1 + amount, blurred, -amount, 0, dst=painted)


def _fade_faint(frame: np.ndarray, painted: np.ndarray) -> None:
    """Blend a painting, in place, with its frame where that has little contrast.

    AdaIN gives every frame the style's contrast, so that a fade to black would not fade, and the noise of an empty wall
    would boil. The painting's share goes from 0, for a frame of one colour, to 1 at `FAINT_DEVIATION`.
    """
    import cv2

    # The variance of a frame is at least that of some of its pixels, times their share of all.
    some = frame[::SAMPLED_ROWS]
    full = FAINT_DEVIATION * (257 if is_deep(frame) else 1)
    if float(cv2.meanStdDev(some)[1].max()) >= SAMPLED_ROWS**0.5 * full:
        return
    contrast = float(cv2.meanStdDev(frame)[1].max()) / full
    if contrast < 1:
        # Smoothstep: noise of a level or two stays nearly as it is, and nothing jumps where the fade begins.
        share = contrast * contrast * (3 - 2 * contrast)
        cv2.addWeighted(painted, share, frame, 1 - share, 0, dst=painted)


def lay_over(frame: np.ndarray, painted: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Alpha blend of a painting over its frame: the painting where the mask is 255, the frame where it is 0.

    Args:
        frame: uint8 or uint16 [H, W, 3].
        painted: the same type and shape.
        mask: uint8 [H, W].

    Returns:
        The same type and shape: exact where the mask is 0 or 255, elsewhere to a level.
    """
    import cv2

    share = cv2.merge([sixteen_bits(mask) if is_deep(frame) else mask] * 3)
    top = int(np.iinfo(frame.dtype).max)
    inside = cv2.multiply(painted, share, scale=1 / top)
    outside = cv2.multiply(np.ascontiguousarray(frame), cv2.bitwise_not(share), scale=1 / top)
    return cv2.add(inside, outside)
