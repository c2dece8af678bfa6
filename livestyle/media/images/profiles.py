"""Colour management: colour profiles of images, by littleCMS, into sRGB.

A profile is what the file embeds (ICC), or one that is made here from primaries and a transfer curve where the file
only states these: PNG's cICP, gAMA and cHRM, the nclx colours of AVIF and HEIC, EXIF's Adobe RGB.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""x and y of white, red, green and blue."""

D65 = (0.3127, 0.3290)
SRGB: Chromaticities = (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
ADOBE_RGB: Chromaticities = (*D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
PRIMARIES: dict[int, Chromaticities] = {
    1: SRGB,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
"""Colour primaries by their code of ITU-T H.273; 2 is unspecified."""
PQ_WHITE = 203.0
"""Luminance of diffuse white in PQ, in cd/m2 (ITU-R BT.2408); what is brighter is clipped."""
_CURVE_ENTRIES = 4096


def srgb_curve(x: np.ndarray) -> np.ndarray:
    """Linear light of sRGB values, both 0..1."""
    import numpy as np

    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def _pq_curve(x: np.ndarray) -> np.ndarray:
    import numpy as np

    root = x ** (1 / 78.84375)
    light = (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    return np.minimum(light * 10000 / PQ_WHITE, 1)


def _hlg_curve(x: np.ndarray) -> np.ndarray:
    import numpy as np

    light = np.where(x <= 0.5, x * x / 3, (np.exp((x - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    # Diffuse white lies at 75 % of the signal.
    return np.minimum(light**1.2 / 0.2031, 1)


def gamma_curve(exponent: float) -> Callable[[np.ndarray], np.ndarray]:
    """Transfer curve that is a power."""
    return lambda x: x**exponent


def coded_profile(primaries: int, transfer: int) -> bytes | None:
    """ICC profile of code points of ITU-T H.273; None where they are sRGB, unspecified or unknown."""
    curves = {4: gamma_curve(2.2), 5: gamma_curve(2.8), 8: gamma_curve(1), 16: _pq_curve, 18: _hlg_curve}
    colors = PRIMARIES.get(primaries)
    # BT.709 and its relatives are shown as sRGB by every viewer.
    curve = curves.get(transfer, srgb_curve)
    if colors is None or (colors is SRGB and curve is srgb_curve):
        return None
    return make_profile(colors, curve)


def make_profile(colors: Chromaticities, curve: Callable[[np.ndarray], np.ndarray]) -> bytes:
    """ICC profile, version 2, of primaries and one transfer curve.

    Args:
        colors: white, red, green, blue.
        curve: from values to linear light, both 0..1.
    """
    import numpy as np

    def xyz(x: float, y: float) -> np.ndarray:
        return np.array([x / y, 1, (1 - x - y) / y])

    white, *corners = (xyz(*colors[i : i + 2]) for i in (0, 2, 4, 6))
    matrix = np.column_stack(corners)
    matrix = matrix * np.linalg.solve(matrix, white)
    # Bradford adaptation to D50, the white of the profile connection space.
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    d50 = np.array([0.9642, 1.0, 0.8249])
    scale = np.diag((bradford @ d50) / (bradford @ white))
    matrix = np.linalg.inv(bradford) @ scale @ bradford @ matrix

    def number(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def place(values: np.ndarray) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(number(float(value)) for value in values)

    values = np.rint(curve(np.linspace(0, 1, _CURVE_ENTRIES)) * 65535).astype(">u2")
    table = b"curv\0\0\0\0" + struct.pack(">I", _CURVE_ENTRIES) + values.tobytes()
    name = b"livestyle\0"
    tags = [(b"desc", b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78)), (b"wtpt", place(d50))]
    tags += [(name, place(column)) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), matrix.T, strict=True)]
    tags += [(b"rTRC", table), (b"cprt", b"text\0\0\0\0CC0\0")]
    at = 128 + 4 + 12 * (len(tags) + 2)
    index, body, curve_place = b"", b"", b""
    for name, data in tags:
        index += name + struct.pack(">II", at + len(body), len(data))
        if name == b"rTRC":
            curve_place = index[-8:]
        body += data + bytes(-len(data) % 4)
    index += b"gTRC" + curve_place + b"bTRC" + curve_place
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + place(d50)[8:]
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags) + 2) + index + body


def lab_profile() -> bytes:
    """ICC profile of CIE L*a*b* with the white D50, as TIFF has it."""
    from PIL import ImageCms

    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes())


class ToSrgb:
    """Conversion of pixels into sRGB: relative colorimetric with black point compensation, as browsers do it.

    Args:
        profile: of the pixels, ICC.

    Attributes:
        mode: in Pillow's name, of the pixels that it takes: ``RGB``, ``L``, ``CMYK`` or ``LAB``.
        is_identity: whether RGB values stay as they are, to a level: the profile is sRGB's.

    Raises:
        ValueError: it is no profile, or one of other colours.
    """

    def __init__(self, profile: bytes) -> None:
        from PIL import Image, ImageCms

        self.profile = profile
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            self.mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}[source.profile.xcolor_space.strip()]
            self._transform: Any = ImageCms.buildTransform(
                source,
                ImageCms.createProfile("sRGB"),
                self.mode,
                "RGB",
                ImageCms.Intent.RELATIVE_COLORIMETRIC,
                ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
        except (ImageCms.PyCMSError, OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError("no colour profile that can be used") from error
        self.is_identity = False
        if self.mode == "RGB":
            import numpy as np

            steps = np.arange(0, 256, 15).astype(np.uint8)
            cube = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, len(steps), 3)
            after = np.asarray(self(Image.fromarray(cube)))
            self.is_identity = bool(np.abs(after.astype(int) - cube).max() <= 1)

    def __call__(self, image: Any) -> Any:
        """A Pillow image of ``mode`` as one in RGB."""
        from PIL import ImageCms

        return ImageCms.applyTransform(image, self._transform)
