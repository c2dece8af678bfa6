"""Tone mapping of HDR video (PQ and HLG, ITU-R BT.2100) to SDR (BT.709), as FFmpeg's zscale and tonemap do it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import av.filter
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from livestyle.errors import InputError

MODES = ("auto", "off")
"""``auto`` maps PQ and HLG to SDR, ``off`` takes all colours as if they were SDR."""
TRANSFERS = {16: "PQ", 18: "HLG"}
"""HDR's AVColorTransferCharacteristic, and its name."""

_WHITE = 100.0
"""Candelas per square metre of what becomes 1."""
_PEAK = 10.0
"""What becomes the brightest white: 1,000 candelas per square metre, for which most HDR is mastered."""
_STEPS = 65
"""Of the table, each way."""
_GAMMA = 2.4
"""Of an SDR display, by BT.1886."""
_TO_709 = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]]
)
"""From the primaries of BT.2020 to those of BT.709 (BT.2087)."""

_Colors = NDArray[np.float64]


class ToneMapper:
    """Filter of HDR frames that gives them the colours of SDR, by a table in three dimensions.

    Args:
        transfer: AVColorTransferCharacteristic, one of `TRANSFERS`.
        matrix: of the YUV pixels, as swscale numbers it.
    """

    def __init__(self, transfer: int, matrix: int) -> None:
        self._transfer = transfer
        self._matrix = matrix
        self._reformatter = VideoReformatter()
        self._graph: Any = None
        self._size = (0, 0)

    def __call__(self, frame: av.VideoFrame, interpolation: int) -> av.VideoFrame:
        """The frame in SDR, as gbrp16le in BT.709.

        Args:
            frame: in YUV, as it was decoded.
            interpolation: of swscale, for the chroma samples.
        """
        wide = self._reformatter.reformat(
            frame, format="gbrp16le", src_colorspace=self._matrix, interpolation=interpolation
        )
        if self._graph is None or self._size != (wide.width, wide.height):
            self._graph, self._size = self._make(wide), (wide.width, wide.height)
        wide.pts = None
        self._graph.push(wide)
        mapped: av.VideoFrame = self._graph.pull()
        return mapped

    def _make(self, first: av.VideoFrame) -> Any:
        graph: Any = av.filter.Graph()
        source = graph.add_buffer(width=first.width, height=first.height, format=first.format, time_base=1)
        with TemporaryDirectory() as folder:
            table = Path(folder) / "sdr.cube"
            table.write_text(_cube(self._transfer))
            mapping = graph.add("lut3d", file=str(table), interp="tetrahedral")
            graph.link_nodes(source, mapping, graph.add("buffersink")).configure()
        return graph


def to_sdr(colors: _Colors, transfer: int) -> _Colors:
    """Colours of HDR in SDR: linear light, BT.709's primaries, Hable's curve on the largest channel, BT.1886.

    Args:
        colors: float [..., 3] RGB in BT.2020 from 0 to 1, as they are coded.
        transfer: one of `TRANSFERS`.

    Returns:
        float [..., 3] RGB in BT.709 from 0 to 1, as they are coded.
    """
    light = np.maximum(_linear(colors, transfer) @ _TO_709.T, 0)
    signal = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
    mapped = light * (_hable(signal) / _hable(np.array(_PEAK)) / signal)
    found: _Colors = np.clip(mapped, 0, 1) ** (1 / _GAMMA)
    return found


def _linear(coded: _Colors, transfer: int) -> _Colors:
    """Light of a display, where 1 is `_WHITE`."""
    if TRANSFERS[transfer] == "PQ":
        power = coded ** (1 / 78.84375)
        base = np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)
        return np.asarray(base ** (1 / 0.1593017578125) * (10000 / _WHITE))
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    # BT.2100 takes the power of the luma; zimg, and so zscale, that of each channel.
    scene = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - c) / a) + b) / 12)
    return np.asarray(scene**1.2 * (1000 / _WHITE))


def _hable(light: _Colors) -> _Colors:
    """The filmic curve of John Hable (Uncharted 2)."""
    above = light * (light * 0.15 + 0.05) + 0.004
    return np.asarray(above / (light * (light * 0.15 + 0.5) + 0.06) - 0.02 / 0.3)


def _cube(transfer: int) -> str:
    """The table as a .cube file, in which red changes first."""
    axis = np.linspace(0, 1, _STEPS)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    table = to_sdr(np.stack([red, green, blue], axis=-1), transfer).reshape(-1, 3)
    return (
        f"LUT_3D_SIZE {_STEPS}\n"
        + "\n".join(" ".join(f"{value:.5f}" for value in row) for row in table.tolist())
        + "\n"
    )


def check_mode(mode: str) -> str:
    """The mode; raises an `InputError` for one that is none of `MODES`."""
    if mode not in MODES:
        raise InputError(f"there is no tone mapping {mode}: choose one of {', '.join(MODES)}", setting="tone_map")
    return mode
