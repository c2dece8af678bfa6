"""What follows the network in the making of a painting: enlarging, sharpening, fading, laying over, keeping colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from livestyle.engine.model import MINIMUM_SIDE
from livestyle.media.depth import dithered, is_deep, sixteen_bits
from livestyle.media.resize import resize

from .color import ColorMode, keep_colors
from .upsampling import guided_upsample

if TYPE_CHECKING:
    from livestyle.media.frames import BgrImage

    from .look import Look

FAINT_DEVIATION = 10.0
"""Standard deviation of a frame's colours, in grey levels, from which on it is painted in full. A photograph of bare
asphalt has 12; the end of a fade to black, a covered lens and an empty wall have less."""
SAMPLED_ROWS = 9
"""One in so many rows of a frame is enough to find that it is not faint, if it is far from it."""
GUIDED_SCALE = 0.55
"""Share of a frame's width up to which a painting is enlarged with the frame as a guide; above, nobody sees it."""
SHARPEN_RADIUS = 1 / 360
"""Standard deviation of the Gaussian of unsharp masking, of the short side."""
SHARPEN_AMOUNT = 1.5
"""Amount of unsharp masking at a sharpness of 1."""


def padded(image: np.ndarray) -> np.ndarray:
    """An image of at least 64 x 64 pixels, which the network needs: mirrored at its lower and right edges."""
    import cv2

    below, right = max(0, MINIMUM_SIDE - image.shape[0]), max(0, MINIMUM_SIDE - image.shape[1])
    return cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REFLECT) if below or right else image


def enlarged(painted: BgrImage, reduced: BgrImage, whole: BgrImage, strength: float) -> BgrImage:
    """A painting of the reduced frame at the whole frame's size, see `guided_upsample`.

    Below full strength the detail that reducing has cost comes back from the frame, as much as strength lacks.
    """
    import cv2

    height, width = whole.shape[:2]
    if painted.shape[1] <= GUIDED_SCALE * width:
        large = guided_upsample(painted, reduced, whole, strength)
    else:
        large = resize(painted, width, height)
    if strength == 1:
        return large
    lost = 1 - strength
    detail = cv2.addWeighted(whole, lost, resize(reduced, width, height), -lost, 0, dtype=cv2.CV_32F)
    return cast("BgrImage", cv2.add(large, detail, dtype=cv2.CV_8U))


def sharpen(painted: np.ndarray, sharpness: float) -> None:
    """Unsharp masking of a painting, in place, with a radius that grows with the image."""
    import cv2

    if sharpness:
        blurred = cv2.GaussianBlur(painted, (0, 0), max(1.0, SHARPEN_RADIUS * min(painted.shape[:2])))
        amount = SHARPEN_AMOUNT * sharpness
        cv2.addWeighted(painted, 1 + amount, blurred, -amount, 0, dst=painted)


def fade_faint(frame: np.ndarray, painted: np.ndarray) -> None:
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


def finished(
    image: np.ndarray,
    whole: np.ndarray,
    mask: np.ndarray | None,
    painted: np.ndarray,
    look: Look,
    lays_over: bool,
) -> np.ndarray:
    """A painting with all that follows the network.

    Args:
        image: the frame, uint8 or uint16 [H, W, 3] BGR.
        whole: the same, padded for the network to 64 pixels or more each way, as ``mask`` and ``painted`` are.
        mask: where the painting is to be seen, uint8, 0 to 255; None is everywhere.
        painted: by the network, uint8; it may be changed in place.
        look: how to paint.
        lays_over: whether a mask lays the painting over the frame; otherwise the network has painted a background.

    Returns:
        The type of ``image``, [H, W, 3], or [H, 2 W, 3] side by side.
    """
    height, width = image.shape[:2]
    if is_deep(whole):
        painted = whole.copy() if look.strength == 0 else dithered(painted)
    sharpen(painted, look.sharpness)
    fade_faint(whole, painted)
    if mask is not None and lays_over:
        painted = lay_over(whole, painted, mask)
    painted = painted[:height, :width]
    if look.color is ColorMode.CONTENT:
        painted = keep_colors(image, painted)
    return np.hstack([image, painted]) if look.side_by_side else np.ascontiguousarray(painted)
