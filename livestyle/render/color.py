"""Whose colours a painting has: the style's, the content's, or the style's made like the content's."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from livestyle.errors import InputError

if TYPE_CHECKING:
    import numpy as np

NOISE = 5.0
"""Grey levels: a style picture's deviations well below this are noise, which matching must not make into colours."""
SAMPLES = 256
"""The colours of a picture are taken from about this many of its rows and columns, and from twice as many at most."""
STRIP = 1 << 15
"""Pixels that are recoloured at once: few enough that all intermediate values stay in the cache."""


class ColorMode(StrEnum):
    """Where the colours of a painting come from."""

    STYLE = "style"
    """From the style."""
    CONTENT = "content"
    """From the content: only its light and dark are painted, see `keep_colors`."""
    MATCH = "match"
    """From the style picture after its colours have been matched to the content's, see `match_colors`."""


def keep_colors(content: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """The luma of a painting with the colours of its content (Gatys et al. 2016, luminance-only transfer).

    Luma and colour differences are those of BT.601, as in YCrCb, and not of Lab: they are linear in BGR, so no
    conversion there and back is needed, grey stays grey and a painting that equals its content comes back, both to the
    bit. Where a colour does not exist as bright or as dark as the painting is, it is made paler and never clipped, so
    that neither hue nor luma changes.

    Args:
        content: uint8 [H, W, 3] or [N, H, W, 3] BGR.
        painted: the same shape.

    Returns:
        uint8, the same shape.

    Raises:
        InputError: the shapes differ.
    """
    import numpy as np

    if content.shape != painted.shape:
        raise InputError(f"a painting is of its content's shape {list(content.shape)}, not {list(painted.shape)}")
    result = np.empty_like(painted, order="C")
    # OpenCV knows no batches, but one tall picture does as well.
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
    # How much of the colour fits, in 255ths: neither the highest channel above 255 nor the lowest below 0. uint8 holds
    # the quotients at 255, which is all of it; 1 in place of 0 gives that for 0 / 0 too, and is a level off at most.
    one = np.ones_like(after)
    above = cv2.divide(cv2.max(cv2.bitwise_not(after), one), cv2.max(cv2.subtract(most, before), one), scale=255)
    below = cv2.divide(cv2.max(after, one), cv2.max(cv2.subtract(before, least), one), scale=255)
    share = cv2.min(above, below)
    mixed = []
    for channel in channels:
        # Brighter and darker apart, since everything in uint8 takes half the time.
        brighter = cv2.multiply(cv2.subtract(channel, before), share, scale=1 / 255)
        darker = cv2.multiply(cv2.subtract(before, channel), share, scale=1 / 255)
        mixed.append(cv2.subtract(cv2.add(after, brighter), darker))
    return cv2.merge(mixed)


def match_colors(style_image: np.ndarray, content: np.ndarray) -> np.ndarray:
    """A style picture whose colours are spread as the content's are (CORAL: Sun et al. 2016, Gatys et al. 2016).

    One linear transform of its pixels gives it the content's mean and covariance of the colours. A grey content gives a
    grey picture. A picture of one colour takes the content's mean, and nothing else: there is nothing to spread.

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
    return cv2.transform(style_image, np.column_stack([transform, mean - transform @ own_mean]))


def _moments(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [3] and covariance [3, 3] of the colours."""
    import numpy as np

    rows, columns = (max(1, side // SAMPLES) for side in image.shape[-3:-1])
    colors = image[..., ::rows, ::columns, :].reshape(-1, 3).astype(np.float64)
    mean = colors.mean(axis=0)
    return mean, (colors - mean).T @ (colors - mean) / len(colors)


def _power(symmetric: np.ndarray, exponent: float) -> np.ndarray:
    """Of a symmetric matrix, none of whose eigenvalues is below 0 but by rounding."""
    import numpy as np

    values, vectors = np.linalg.eigh(symmetric)
    return np.asarray(vectors * np.maximum(values, 0) ** exponent @ vectors.T)
