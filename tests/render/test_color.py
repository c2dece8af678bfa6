from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from livestyle import StyleLibrary, Stylizer
from livestyle.errors import InputError, StyleError
from livestyle.render.color import keep_colors, match_colors


def luma(image: np.ndarray) -> np.ndarray:
    found: np.ndarray = image @ np.array([0.114, 0.587, 0.299])
    return found


def grey(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)


def moments(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    colors = image.reshape(-1, 3).astype(float)
    return colors.mean(axis=0), np.cov(colors.T)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """Every colour that there is, about."""
    return np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)


@pytest.fixture(scope="module")
def painting(noise: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.roll(noise, 50, axis=0)[:, :, ::-1])


def test_the_luma_is_that_of_the_painting(noise: np.ndarray, painting: np.ndarray) -> None:
    assert np.abs(luma(keep_colors(noise, painting)) - luma(painting)).max() < 2


@pytest.mark.parametrize("light", [20, 120, 235])
def test_the_hue_is_that_of_the_content(light: int) -> None:
    orange, flat = np.full((64, 64, 3), (0, 100, 200), np.uint8), np.full((64, 64, 3), light, np.uint8)
    blue, green, red = keep_colors(orange, flat)[0, 0].astype(int)
    assert (red - green) == pytest.approx(green - blue, abs=1.5)
    assert red - blue > 25


def test_a_colour_that_fits_is_kept_in_full(noise: np.ndarray) -> None:
    pale = (noise // 8 + 100).astype(np.uint8)
    darker = keep_colors(pale, pale - 40)
    assert np.abs(darker.astype(int) - (pale.astype(int) - 40)).max() <= 1


def test_a_painting_that_equals_its_content_comes_back(noise: np.ndarray) -> None:
    assert np.array_equal(keep_colors(noise, noise), noise)


def test_a_grey_content_becomes_a_grey_painting(noise: np.ndarray, painting: np.ndarray) -> None:
    assert np.array_equal(keep_colors(grey(noise), painting), grey(painting))


def test_a_batch_is_its_frames(noise: np.ndarray, painting: np.ndarray) -> None:
    both = keep_colors(np.stack([noise, painting]), np.stack([painting, noise]))
    assert np.array_equal(both, [keep_colors(noise, painting), keep_colors(painting, noise)])


def test_a_mirrored_view_will_do(noise: np.ndarray, painting: np.ndarray) -> None:
    assert np.array_equal(keep_colors(noise[:, ::-1], painting[:, ::-1]), keep_colors(noise, painting)[:, ::-1])


def test_a_batch_of_another_memory_layout_will_do(noise: np.ndarray, painting: np.ndarray) -> None:
    contents, painted = np.stack([noise, painting]), np.stack([painting, noise])
    assert np.array_equal(keep_colors(contents, np.asfortranarray(painted)), keep_colors(contents, painted))


def test_a_painting_of_another_size_is_refused(noise: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"shape \[300, 400, 3\], not \[299, 400, 3\]"):
        keep_colors(noise, noise[1:])


def test_matched_colours_have_the_mean_and_covariance_of_the_content(
    noise: np.ndarray, demo_frames: list[np.ndarray]
) -> None:
    # Of so little contrast that nothing leaves 0..255.
    content = (demo_frames[0] // 3 + 80).astype(np.uint8)
    mean, covariance = moments(match_colors(noise, content))
    expected_mean, expected_covariance = moments(content)
    np.testing.assert_allclose(mean, expected_mean, atol=1)
    np.testing.assert_allclose(covariance, expected_covariance, rtol=0.03, atol=5)


def test_several_frames_are_matched_as_one_content(noise: np.ndarray, demo_frames: list[np.ndarray]) -> None:
    small = [frame[::4, ::4] for frame in demo_frames[:3]]
    assert np.array_equal(match_colors(noise, np.stack(small)), match_colors(noise, np.concatenate(small)))


def test_a_grey_content_makes_a_grey_style_picture(noise: np.ndarray, frame: np.ndarray) -> None:
    matched = match_colors(noise, grey(frame))
    assert np.ptp(matched, axis=2).max() == 0
    assert matched.std() > 20


def test_a_style_picture_of_one_colour_takes_the_mean_of_the_content(frame: np.ndarray) -> None:
    flat = np.full((70, 90, 3), (10, 200, 90), np.uint8)
    assert np.abs(match_colors(flat, frame) - frame.mean(axis=(0, 1))).max() < 2


def test_faint_noise_does_not_become_colours(noise: np.ndarray, frame: np.ndarray) -> None:
    paper = (noise % 2 + 200).astype(np.uint8)
    assert match_colors(paper, frame).std(axis=(0, 1)).max() < frame.std(axis=(0, 1)).min() / 5


def test_a_content_of_one_colour_makes_a_style_picture_of_it(noise: np.ndarray) -> None:
    content = np.full((70, 90, 3), (10, 200, 90), np.uint8)
    assert np.abs(match_colors(noise, content).astype(int) - (10, 200, 90)).max() <= 1


def test_a_matched_style_is_that_of_the_matched_picture(
    library: StyleLibrary, stylizer: Stylizer, tmp_path: Path, noise: np.ndarray, frame: np.ndarray
) -> None:
    # Of the size that styles are encoded at.
    picture = cv2.resize(noise, (683, 512), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(tmp_path / "wave.png"), picture)
    style = library.from_image(tmp_path / "wave.png")

    matched = library.matched(style, frame)

    assert (matched.name, matched.source) == ("wave", style.source)
    assert np.array_equal(matched.stats.values, stylizer.encode_style(match_colors(picture, frame)).values)


def test_a_matched_style_does_not_take_the_place_of_its_picture_in_the_cache(
    library: StyleLibrary, image_path: Path, noise: np.ndarray
) -> None:
    style = library.from_image(image_path)
    library.matched(style, noise)
    assert np.array_equal(library.from_image(image_path).stats.values, style.stats.values)


@pytest.mark.parametrize("of", ["{0}", "{0},{1}"])
def test_presets_and_mixes_have_no_colours_to_match(library: StyleLibrary, frame: np.ndarray, of: str) -> None:
    (style,) = library.find(of.format(*library.presets))
    with pytest.raises(StyleError, match="is a preset or a mix: name the picture"):
        library.matched(style, frame)


def test_a_style_picture_that_is_gone_cannot_be_matched(
    library: StyleLibrary, image_path: Path, frame: np.ndarray
) -> None:
    style = library.from_image(image_path)
    image_path.unlink()
    with pytest.raises(StyleError, match=r"there is no picture .*picture\.png"):
        library.matched(style, frame)
