"""Conversion of 16 bits into sRGB by matrix and curves, as most RGB profiles have them; Pillow's littleCMS takes 8."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from .deep import STRIP, of_linear
from .profiles import ToSrgb

_SRGB_D50 = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
"""XYZ of linear sRGB, adapted to D50, the white of the profile connection space."""
_CODES = 65536
_TOLERANCE = 1.5
"""Grey levels of 8 bits by which a conversion may differ from littleCMS's."""


class Shaper:
    """Matrix and curves of a profile.

    Args:
        curves: linear light of each of the 65536 codes in red, green and blue, float32 [3, 65536].
        matrix: from linear light to that of sRGB, float32 [3, 3].
    """

    def __init__(self, curves: np.ndarray, matrix: np.ndarray) -> None:
        self._curves = curves
        self._matrix = matrix

    @classmethod
    def of(cls, conversion: ToSrgb) -> Shaper | None:
        """That of a conversion's profile; None where it is more than matrix and curves, or does not agree with it."""
        from PIL import Image

        try:
            shaper = cls(*_parse(conversion.profile))
        except (KeyError, ValueError, IndexError, struct.error):
            return None
        steps = np.linspace(0, 255, 9).astype(np.uint8)
        cube = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, len(steps), 3)
        right = np.asarray(conversion(Image.fromarray(cube))).astype(float)
        found = shaper(cube[:, :, ::-1].astype(np.uint16) * 257)[:, :, ::-1] / 257
        return shaper if float(np.abs(found - right).max()) <= _TOLERANCE else None

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """uint16 [H, W, 3] BGR in sRGB."""
        result = np.empty_like(image)
        rows = max(1, STRIP // image.shape[1])
        for top in range(0, len(image), rows):
            strip = image[top : top + rows]
            light = np.stack([self._curves[n][strip[:, :, 2 - n]] for n in range(3)], -1) @ self._matrix.T
            result[top : top + rows] = of_linear(light[:, :, ::-1], deep=True)
        return result


def _parse(profile: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Curves and matrix; raises one of several errors where there are none."""
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = [struct.unpack_from(">4sII", profile, 132 + 12 * n) for n in range(min(count, 100))]
    tags: dict[bytes, bytes] = {name: profile[at : at + size] for name, at, size in entries}
    if b"A2B0" in tags:
        raise ValueError("tables in three dimensions")
    columns = [np.array(struct.unpack_from(">3i", tags[name], 8)) / 65536 for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    curves = np.stack([_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")])
    matrix = np.linalg.inv(_SRGB_D50) @ np.column_stack(columns)
    return curves.astype(np.float32), matrix.astype(np.float32)


def _curve(tag: bytes) -> Any:
    """Linear light of each code, by one of the two kinds of curves of ICC."""
    codes = np.linspace(0, 1, _CODES)
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            return codes
        values = np.frombuffer(tag, ">u2", count, 12)
        if count == 1:
            return codes ** (float(values[0]) / 256)
        return np.interp(codes, np.linspace(0, 1, count), values / 65535)
    if tag[:4] != b"para":
        raise ValueError("another kind of curve")
    (kind,) = struct.unpack_from(">H", tag, 8)
    found = [value / 65536 for value in struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12)]
    unsaid = [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    g, a, b, c, d, e, f = found + unsaid[len(found) :]
    if kind in (1, 2):
        # Below -b / a it is c, to which all is added.
        return np.where(codes >= -b / a, np.maximum(a * codes + b, 0) ** g, 0) + (c if kind == 2 else 0)
    return np.where(codes >= d, np.maximum(a * codes + b, 0) ** g + e, c * codes + f)
