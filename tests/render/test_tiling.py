"""Large pictures in tiles, against one pass over a picture for which there is room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import pytest

from livestyle import Style, Stylizer
from livestyle.render import tiling
from livestyle.render.tiling import TiledStylizer, tiles


@pytest.fixture(scope="module")
def photo(demo_frames: list[np.ndarray]) -> np.ndarray:
    """A picture with noise, as a sensor's: uint8 [605, 903, 3]."""
    image = cv2.resize(demo_frames[0], (903, 605), interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(0).normal(0, 3, image.shape)
    photo: np.ndarray = np.clip(image + noise, 0, 255).astype(np.uint8)
    return photo


@pytest.fixture
def _small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "TILE", 304)
    monkeypatch.setattr(tiling, "PATCH", 128)


@pytest.mark.usefixtures("_small_tiles")
def test_tiles_are_painted_as_in_one_pass(exact_stylizer: Stylizer, style: Style, photo: np.ndarray) -> None:
    whole = exact_stylizer.stylize(photo, style.stats).astype(int)

    tiled = TiledStylizer(exact_stylizer, 0).stylize(photo, style.stats).astype(int)

    difference = tiled - whole
    assert np.abs(difference).mean() <= 2
    # No step at a border: where tiles meet, neighbours differ as they do in one pass.
    for axis, length in enumerate(photo.shape[:2]):
        steps = np.abs(np.diff(difference, axis=axis)).mean(axis=(1 - axis, 2))
        borders = [border - 1 for border in range(tiling.TILE, length, tiling.TILE)]
        assert steps[borders].max() <= 1.5 * np.quantile(steps, 0.95)


@pytest.mark.usefixtures("_small_tiles")
def test_with_the_statistics_of_one_pass_tiles_are_exact(
    exact_stylizer: Stylizer, style: Style, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, used = exact_stylizer.stylize_with_statistics(photo, style.stats, 1.0, None, 0.0)
    monkeypatch.setattr(tiling, "_find_statistics", lambda *_: used)

    tiled = TiledStylizer(exact_stylizer, 0).stylize(photo, style.stats)

    assert np.abs(tiled.astype(int) - whole).max() <= 1


@pytest.mark.usefixtures("_small_tiles")
def test_two_regions_in_tiles(exact_stylizer: Stylizer, style: Style, photo: np.ndarray) -> None:
    other = Style("other", exact_stylizer.encode_style(photo[:128, :128]))
    mask = np.zeros(photo.shape[:2], np.uint8)
    mask[:, 400:] = 255
    arguments = {"mask": mask, "background": other.stats}

    whole = exact_stylizer.stylize(photo, style.stats, 1.0, **arguments).astype(int)  # type: ignore[arg-type]
    tiled = TiledStylizer(exact_stylizer, 0).stylize(photo, style.stats, 1.0, **arguments)  # type: ignore[arg-type]

    assert np.abs(tiled - whole).mean() <= 2


def recording(paint: Callable[..., Any], sizes: list[int]) -> Callable[..., Any]:
    """The same function, which also notes how large its pictures are."""

    def record(image: np.ndarray, *rest: Any, **more: Any) -> Any:
        sizes.append(image.size)
        return paint(image, *rest, **more)

    return record


@pytest.mark.usefixtures("_small_tiles")
@pytest.mark.parametrize(
    ("one_pass_pixels", "strength", "in_tiles"), [(605 * 903 - 1, 1.0, True), (605 * 903, 1.0, False), (0, 0.0, False)]
)
def test_a_large_picture_is_painted_in_tiles_alone(
    identity: Stylizer, dusk: Style, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch,
    one_pass_pixels: int, strength: float, in_tiles: bool,
) -> None:  # fmt: skip
    sizes: list[int] = []
    for name in ("stylize", "stylize_with_statistics"):
        monkeypatch.setattr(identity, name, recording(getattr(identity, name), sizes))

    TiledStylizer(identity, one_pass_pixels).stylize(photo, dusk.stats, strength)

    assert (max(sizes) < photo.size) == in_tiles


@pytest.mark.usefixtures("_small_tiles")
@pytest.mark.parametrize("regions", [False, True])
def test_as_many_tiles_are_told_as_were_announced(
    identity: Stylizer, dusk: Style, photo: np.ndarray, regions: bool
) -> None:
    told: list[int] = []

    @contextmanager
    def watch(count: int) -> Iterator[Callable[[], None]]:
        told.append(count)
        yield lambda: told.append(1)

    given: dict[str, Any] = {"mask": photo[..., 0], "background": dusk.stats} if regions else {}
    TiledStylizer(identity, 0, watch).stylize(photo, dusk.stats, **given)
    count, *done = told
    assert len(done) == count


@pytest.mark.parametrize(("height", "width"), [(605, 903), (64, 4000), (5000, 20000), (1281, 1279)])
def test_tiles_cover_a_picture_once(height: int, width: int) -> None:
    covered = np.zeros((height, width), np.uint8)
    sizes = set()
    for (top, bottom, left, right), (above, below, before, behind) in tiles(height, width):
        covered[top:bottom, left:right] += 1
        sizes.add((below - above, behind - before))
        assert above % tiling.ALIGNMENT == before % tiling.ALIGNMENT == 0
        assert 0 <= above <= top < bottom <= below <= height
        assert 0 <= before <= left < right <= behind <= width
        assert above == 0 or top - above >= tiling.OVERLAP
        assert below == height or below - bottom >= tiling.OVERLAP
    assert (covered == 1).all()
    assert len(sizes) == 1
