"""The model ``identity`` of the tests: a few kB that follow the contract, for all that is not about the painting.

    .venv/bin/python tests/models/make_identity.py

It is AdaIN with one site, the pixels themselves: a style is the mean and the standard deviation of each colour of its
image, and a painting is the frame with these moments in place of its own (Reinhard et al. 2001). So a test can tell
from a painting whether, in which style, at which strength and with which running statistics it was made. Moments are
sums of integers in float64, which are exact: the number of threads changes nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

import onnx
from onnx import parser

from livestyle.engine.model import (
    CONTRACT_VERSION,
    PRESETS,
    REGIONS,
    REGIONS_FP16,
    STYLE,
    STYLIZE,
    STYLIZE_FP16,
    Manifest,
    checksum,
)

FOLDER = Path(__file__).parent / "identity"
STATS = 6
"""Mean and deviation of blue, green and red, each as a share of 255."""
STYLES = {
    "dusk": [0.45, 0.25, 0.20, 0.20, 0.12, 0.10],
    "moss": [0.25, 0.55, 0.35, 0.10, 0.20, 0.15],
    "old-rose": [0.55, 0.50, 0.80, 0.12, 0.10, 0.08],
}

FLOAT, UINT8, FLOAT16, DOUBLE = 1, 2, 10, 11
HEAD = '<ir_version: 10, opset_import: ["" : 18]>'
MOMENTS = f"""
    exact = Cast <to = {DOUBLE}> (image)
    mean = ReduceMean <keepdims = 0> (exact, axes)
    square = Mul (exact, exact)
    mean_square = ReduceMean <keepdims = 0> (square, axes)
    square_mean = Mul (mean, mean)
    difference = Sub (mean_square, square_mean)
    variance = Max (difference, zero)
    deviation = Sqrt (variance)
    levels = Concat <axis = -1> (mean, deviation)
    shares = Div (levels, most)
    own = Cast <to = {FLOAT}> (shares)
"""
ENCODER = f"""{HEAD}
encode (uint8[H, W, 3] image) => (float[{STATS}] stats)
<int64[2] axes = {{0, 1}}, double zero = {{0}}, double most = {{255}}>
{{{MOMENTS}
    stats = Identity (own)
}}"""


def stylizer(half: bool, regions: bool) -> str:
    """Text of a stylizing network: with float16 pixels, with two styles and a mask."""
    stats, mask = (f"float[2, {STATS}] stats", ", uint8[N, H, W] mask") if regions else (f"float[{STATS}] stats", "")
    # The style's moments, [STATS], or of each pixel, [N, H, W, STATS].
    style = f"""
    mask_levels = Cast <to = {FLOAT}> (mask)
    mask_shares = Div (mask_levels, white)
    share = Unsqueeze (mask_shares, last)
    rest = Sub (one, share)
    first, second = Split <num_outputs = 2> (stats)
    first_part = Mul (share, first)
    second_part = Mul (rest, second)
    style = Add (first_part, second_part)
    """
    kind = FLOAT16 if half else FLOAT
    return f"""{HEAD}
stylize (uint8[N, H, W, 3] frames, {stats}, float strength, float[{STATS}] content_state, float momentum{mask})
=> (uint8[N, H, W, 3] stylized, float[{STATS}] next_content_state)
<int64[2] axes = {{1, 2}}, double zero = {{0}}, double most = {{255}}, float white = {{255}}, float one = {{1}},
 float low = {{0}}, float least = {{0.001}}, int64[1] first_axis = {{0}}, int64[1] last = {{-1}}>
{{
    image = Identity (frames){MOMENTS}
    kept = Mul (momentum, content_state)
    weight = Sub (one, momentum)
    added = Mul (weight, own)
    content = Add (kept, added)
    next_content_state = ReduceMean <keepdims = 0> (content, first_axis)
    content_of_pixels = Unsqueeze (content, axes)
    {style if regions else "style = Identity (stats)"}
    change = Sub (style, content_of_pixels)
    changed = Mul (strength, change)
    target = Add (content_of_pixels, changed)
    target_mean, target_deviation = Split <axis = -1, num_outputs = 2> (target)
    content_mean, content_deviation = Split <axis = -1, num_outputs = 2> (content_of_pixels)
    divisor = Max (content_deviation, least)
    scale = Div (target_deviation, divisor)
    shift = Mul (content_mean, scale)
    offset = Sub (target_mean, shift)
    offset_levels = Mul (offset, white)
    pixels = Cast <to = {kind}> (frames)
    pixel_scale = Cast <to = {kind}> (scale)
    pixel_offset = Cast <to = {kind}> (offset_levels)
    scaled = Mul (pixels, pixel_scale)
    moved = Add (scaled, pixel_offset)
    whole = Cast <to = {FLOAT}> (moved)
    bounded = Clip (whole, low, white)
    rounded = Round (bounded)
    stylized = Cast <to = {UINT8}> (rounded)
}}"""


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    texts = {
        STYLE: ENCODER,
        STYLIZE: stylizer(half=False, regions=False),
        STYLIZE_FP16: stylizer(half=True, regions=False),
        REGIONS: stylizer(half=False, regions=True),
        REGIONS_FP16: stylizer(half=True, regions=True),
    }
    for name, text in texts.items():
        model = parser.parse_model(text)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, FOLDER / name)
    (FOLDER / PRESETS).write_text(json.dumps(STYLES) + "\n", encoding="utf-8")
    files = {name: checksum(FOLDER / name) for name in (*texts, PRESETS)}
    Manifest("identity", "identity", CONTRACT_VERSION, STATS, STATS, files).write(FOLDER)


if __name__ == "__main__":
    main()
