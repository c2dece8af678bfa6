"""Shared test vectors: what the Python stabiliser makes of a few small frames, for the browser's to make the same.

``python -m tests.web.make_vectors`` writes them; tests/web/test_vectors.py says when they are out of date.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np

from livestyle.engine.stabilizer import Stabilizer
from livestyle.live.adaptive_resolution import AdaptiveResolution
from livestyle.render.color import keep_colors, match_colors
from livestyle.render.finishing import sharpen

VECTORS = Path(__file__).parents[2] / "livestyle" / "web" / "tests" / "vectors.json"
HEIGHT, WIDTH = 30, 41


def frames() -> list[np.ndarray]:
    """A scene with a little noise in which a square moves, an even frame, a dot at night, and a scene cut back."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    scene = np.stack([60 + 2 * x, 40 + 4 * y, 90 + x + y], axis=-1).astype(np.int64)
    sequence = []
    for step in range(4):
        noisy = scene + rng.integers(-5, 6, scene.shape)
        noisy[8:16, 4 + 3 * step : 12 + 3 * step] = (20, 220, 160)
        sequence.append(noisy)
    sequence.append(np.full_like(scene, 128))
    night = np.full_like(scene, 10)
    night[10:12, 20:22] = 250
    sequence += [night, night + 1, scene]
    return [np.clip(frame, 0, 255).astype(np.uint8) for frame in sequence]


def vectors() -> dict[str, object]:
    """All vectors; bytes in base64."""
    stabilizer = Stabilizer()
    steps = []
    for frame in frames():
        # Statistics that a cut, or an even frame, forgets.
        stabilizer.values = np.zeros(1, np.float32)
        stabilizer.detect_scene_cut(frame)
        reduced = stabilizer.reduce_noise(frame)
        stabilizer.detect_sparsity(reduced)
        steps.append(
            {
                "frame": _encoded(frame),
                "reduced": _encoded(reduced),
                "forgets": stabilizer.values is None,
                "flat": stabilizer.is_flat,
                "sparse": stabilizer.is_sparse,
            }
        )
    adaptive = AdaptiveResolution(24)
    costs = [0.02] * 3 + [0.09] * 9 + [0.3] * 2 + [0.01] * 200 + [0.05] * 20
    scales = []
    for n, cost in enumerate(costs):
        adaptive.update(cost, n / 24)
        scales.append(adaptive.scale)
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "steps": steps,
        "costs": costs,
        "scales": scales,
        "colors": colors(),
        "sharpened": sharpened(),
    }


def colors() -> dict[str, str]:
    """A content and a style picture, the style matched to the content, and the content's colours on the style."""
    rng = np.random.default_rng(1)
    content = frames()[0]
    style = np.clip(rng.normal((150, 90, 60), (70, 50, 20), content.shape), 0, 255).astype(np.uint8)
    # Colours at the edge of the gamut, light and dark.
    style[:6], style[6:12] = 250, 4
    return {
        "content": _encoded(content),
        "style": _encoded(style),
        "matched": _encoded(match_colors(style, content)),
        "kept": _encoded(keep_colors(content, style)),
    }


def sharpened() -> str:
    """The content of `colors` sharpened by 0.75."""
    image = frames()[0]
    sharpen(image, 0.75)
    return _encoded(image)


def _encoded(image: np.ndarray) -> str:
    return base64.b64encode(image.tobytes()).decode()


def text() -> str:
    """Content of the file."""
    return json.dumps(vectors(), indent=1) + "\n"


if __name__ == "__main__":
    VECTORS.write_text(text(), encoding="utf-8")
    print(VECTORS)
