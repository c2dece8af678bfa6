"""The shipped weights paint the bundled clip as their cards say: the presets' measures, with a margin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from livestyle import Stabilizer, StyleLibrary, Stylizer
from livestyle.engine.style import StyleStats
from livestyle.media.images import read_image
from tests.program import livestyle
from train.data import find_images
from train.evaluate import luma, ssim, stability

pytestmark = pytest.mark.train
PRESETS = ("starry-night", "scream", "japanese-bridge")


@pytest.fixture
def photographs(tmp_path: Path, demo_frames: list[np.ndarray]) -> Path:
    """A folder of three frames of the clip."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), demo_frames[5 * number])
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("model", ["lite", "full"])
def test_painted_photographs_keep_what_is_seen_and_take_the_style(
    model: str, photographs: Path, tmp_path: Path
) -> None:
    stylizer = Stylizer(model, "cpu")
    presets = StyleLibrary(stylizer).presets
    kept: list[float] = []
    for name in PRESETS:
        folder = tmp_path / name
        folder.mkdir()
        files = [photographs / f"{number}.png" for number in range(3)]
        done = livestyle("image", *files, "-o", folder, "--style", name, "--model", model, "--device", "cpu")
        assert done.returncode == 0, done.stderr
        painted = sorted(folder.iterdir())
        assert len(painted) == len(files)
        wanted = presets[name].stats.values
        for before, after in (map(read_image, pair) for pair in zip(files, painted, strict=True)):
            kept.append(ssim(luma(before[:, :, ::-1]), luma(after[:, :, ::-1])))
            # Read by the model's own style encoder, since the loss network is not part of the repository.
            apart = [np.square(stylizer.encode_style(image).values - wanted).mean() for image in (before, after)]
            assert apart[1] < 0.6 * apart[0], name
    # The cards say 0.49 and 0.50 on other pictures.
    assert min(kept) > 0.25
    assert np.mean(kept) > 0.4


@pytest.mark.slow
@pytest.mark.parametrize(("model", "single", "film"), [("lite", 0.96, 0.32), ("full", 1.06, 0.32)])
def test_a_still_flickers_no_more_than_the_card_says(model: str, single: float, film: float, photographs: Path) -> None:
    """Noise gain: the change from frame to frame over that of a still with fresh noise."""
    stylizer = Stylizer(model, "cpu")
    presets = StyleLibrary(stylizer).presets
    # `stability` takes every third of them.
    codes = [presets[name].stats for name in PRESETS for _ in range(3)]

    def paint(frames: Sequence[np.ndarray], code: StyleStats, stabilizer: Stabilizer | None) -> list[np.ndarray]:
        painted = (stylizer.stylize(frame[:, :, ::-1].copy(), code, state=stabilizer) for frame in frames)
        return [frame[:, :, ::-1] for frame in painted]

    stills = find_images([photographs])[:1]
    alone, _ = stability(lambda frames, code: paint(frames, code, None), stills, codes)
    as_film, _ = stability(lambda frames, code: paint(frames, code, Stabilizer()), stills, codes)
    # The first preset is the wildest of all.
    assert alone < 1.8 * single
    assert as_film < 1.8 * film
    assert as_film < alone / 2
