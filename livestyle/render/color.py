"""Colour transfer: the colours of the content on a painting, or on a style image before it is encoded."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, cast

from livestyle.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from livestyle.media.frames import BgrImage

NOISE = 5.0
"""Regularisation of a style image's covariance, a standard deviation in grey levels: noise well below it is not
amplified into colours."""
SAMPLES = 256
"""Subsampling for colour statistics: at least this many rows and columns of a larger image, and fewer than twice as
many."""
STRIP = 1 << 15
"""Pixels that are recoloured at a time, few enough for all intermediate arrays to fit into the CPU's cache."""


class ColorMode(StrEnum):
    """Source of the colours of a painting."""

    STYLE = "style"
    """The style."""
    CONTENT = "content"
    """The content: the painting keeps its luma only, see `keep_colors`."""
    MATCH = "match"
    """The style image, with its colours matched to those of the content, see `match_colors`."""


def keep_colors(content: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """Luminance-only transfer: the luma of a painting with the colours of its content (Gatys et al. 2016).

    Luma and colour differences are those of BT.601, as in YCrCb, and not of Lab: they are linear in BGR, so no
    conversion is needed, and grey stays grey and a painting that equals its content stays unchanged, both bit-exactly.
    Colours outside the gamut at the painting's luma are desaturated and not clipped, which keeps hue and luma.

    Args:
        content: uint8 or uint16 [H, W, 3] or [N, H, W, 3] BGR.
        painted: the painting, of the same type and shape.

    Returns:
        The same type and shape.

    Raises:
        InputError: the shapes differ.
    """
    import numpy as np

    if content.shape != painted.shape:
        raise InputError(f"a painting is of its content's shape {list(content.shape)}, not {list(painted.shape)}")
    result = np.empty_like(painted, order="C")
    # OpenCV takes no batches: process them as one tall image.
    tall = (-1, content.shape[-2], 3)
    content, painted, mixed = content.reshape(tall), painted.reshape(tall), result.reshape(tall)
    step = max(1, STRIP // content.shape[1])
    for top in range(0, len(content), step):
        strip = slice(top, top + step)
        mixed[strip] = _keep_colors(np.ascontiguousarray(content[strip]), np.ascontiguousarray(painted[strip]))
    return result


def _keep_colors(content: np.ndarray, painted: np.ndarray) -> np.ndarray:
    import cv2
    import numpy as np

    before, after = (cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in (content, painted))
    channels = cv2.split(content)
    most = cv2.max(cv2.max(channels[0], channels[1]), channels[2])
    least = cv2.min(cv2.min(channels[0], channels[1]), channels[2])
    # Share of the saturation that fits the gamut, in 255ths: no channel above 255 or below 0. uint8 saturates the
    # quotients at 255, the full share; 1 in place of 0 avoids 0 / 0 and is one level off at most. So do 16 bits.
    top = int(np.iinfo(content.dtype).max)
    one = np.ones_like(after)
    above = cv2.divide(cv2.max(cv2.bitwise_not(after), one), cv2.max(cv2.subtract(most, before), one), scale=top)
    below = cv2.divide(cv2.max(after, one), cv2.max(cv2.subtract(before, least), one), scale=top)
    share = cv2.min(above, below)
    mixed = []
    for channel in channels:
        # Positive and negative differences apart: staying in uint8 takes half the time.
        brighter = cv2.multiply(cv2.subtract(channel, before), share, scale=1 / top)
        darker = cv2.multiply(cv2.subtract(before, channel), share, scale=1 / top)
        mixed.append(cv2.subtract(cv2.add(after, brighter), darker))
    return cv2.merge(mixed)


def match_colors(style_image: np.ndarray, content: np.ndarray) -> BgrImage:
    """Style image with the colour statistics of a content (CORAL: Sun et al. 2016; Gatys et al. 2016).

    An affine transform of its pixels, whitening and recolouring, gives it the mean and the covariance of the content's
    colours. A grey content gives a grey image; a style image of one colour takes the content's mean only.

    Args:
        style_image: uint8 [H, W, 3] BGR.
        content: uint8 [H, W, 3] or [N, H, W, 3] BGR, of any size.

    Returns:
        uint8, the shape of ``style_image``.
    """
    import cv2
    import numpy as np

    own_mean, own_covariance = _moments(style_image)
    mean, covariance = _moments(content)
    whiten = _power(own_covariance + NOISE**2 * np.eye(3), -0.5)
    transform = _power(covariance, 0.5) @ whiten
    matched = cv2.transform(style_image, np.column_stack([transform, mean - transform @ own_mean]))
    return cast("BgrImage", matched)


def _moments(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [3] and covariance [3, 3] of the colours of an image or a batch, float64."""
    import numpy as np

    rows, columns = (max(1, side // SAMPLES) for side in image.shape[-3:-1])
    colors = image[..., ::rows, ::columns, :].reshape(-1, 3).astype(np.float64)
    mean = colors.mean(axis=0)
    return mean, (colors - mean).T @ (colors - mean) / len(colors)


def _power(symmetric: np.ndarray, exponent: float) -> np.ndarray:
    """Power of a positive semidefinite matrix; eigenvalues below 0 are rounding errors."""
    import numpy as np

    values, vectors = np.linalg.eigh(symmetric)
    return np.asarray(vectors * np.maximum(values, 0) ** exponent @ vectors.T)
