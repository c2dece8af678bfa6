"""Resampling: sizes, the method, and what stays untouched."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from livestyle.errors import InputError
from livestyle.media.resize import fit_into, fit_size, parse_size, resize, shrink_to_fit


def test_an_image_of_the_size_is_returned_itself(frame: np.ndarray) -> None:
    height, width = frame.shape[:2]
    assert resize(frame, width, height) is frame
    assert shrink_to_fit(frame, (width, 1000)) is frame
    assert fit_into(frame, width, height) is frame


@pytest.mark.parametrize(("factor", "method"), [(0.5, cv2.INTER_AREA), (2, cv2.INTER_CUBIC)])
def test_images_and_masks_shrink_by_area_and_grow_bicubically(frame: np.ndarray, factor: float, method: int) -> None:
    width, height = round(frame.shape[1] * factor), round(frame.shape[0] * factor)
    for image in (frame, frame[:, :, 0]):
        expected = cv2.resize(image, (width, height), interpolation=method)
        assert np.array_equal(resize(image, width, height), expected)


def test_a_size_to_fit_keeps_the_shape_and_may_be_even() -> None:
    assert fit_size(640, 360, (320, 320)) == (320, 180)
    assert fit_size(203, 121, (100, 100)) == (100, 60)
    assert fit_size(203, 121, (90, 90), 2) == (90, 54)
    assert fit_size(10, 1000, (100, 100)) == (1, 100)


def test_a_larger_image_is_shrunk(frame: np.ndarray) -> None:
    assert shrink_to_fit(frame, (100, 100)).shape == (60, 100, 3)


def test_another_shape_gets_black_bars() -> None:
    shown = fit_into(np.full((20, 10, 3), 200, np.uint8), 30, 20)
    assert shown.shape == (20, 30, 3)
    assert (shown[:, 10:20] == 200).all()
    assert not shown[:, :10].any()
    assert not shown[:, 20:].any()


def test_a_pixel_that_is_missing_is_a_copy_of_the_last(frame: np.ndarray) -> None:
    shown = fit_into(frame, frame.shape[1] + 1, frame.shape[0])
    assert np.array_equal(shown[:, :-1], frame)
    assert np.array_equal(shown[:, -1], frame[:, -1])


def test_a_size_is_read() -> None:
    assert parse_size("640x360") == parse_size(" 640X360 ") == (640, 360)


@pytest.mark.parametrize("text", ["640", "63x360", "640x", "x", "640x360x2", "-640x360", "100000x100"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="give width x height"):
        parse_size(text)
