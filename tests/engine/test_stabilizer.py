"""The stabilizer's arithmetic on frames: in strips, in place and on samples, with the results of the plain formulas."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from livestyle import Stabilizer
from livestyle.engine.stabilizer import LONE_LEVELS, MOVING_LEVELS, NOISE_WINDOW, STILL_LEVELS, STILL_SHARE


def moving(height: int, width: int, count: int = 5) -> list[np.ndarray]:
    """A disc that moves over a noisy background: uint8 [height, width, 3]."""
    random = np.random.default_rng(0)
    scene = cv2.resize(random.integers(60, 180, (4, 6, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    frames = []
    for n in range(count):
        image = scene.copy()
        cv2.circle(image, ((n + 1) * width // (count + 1), height // 2), height // 6, (20, 200, 240), -1)
        frames.append(np.clip(image + random.normal(0, 4, image.shape), 0, 255).astype(np.uint8))
    return frames


def next_mean(frame: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """The recursive mean by its formula, on the whole frame at once."""
    lone = cv2.absdiff(frame, cv2.convertScaleAbs(mean)).max(axis=2)
    difference = np.maximum(cv2.blur(lone, (NOISE_WINDOW, NOISE_WINDOW)), lone - np.minimum(lone, LONE_LEVELS))
    motion = np.clip((difference.astype(int) - STILL_LEVELS) / (MOVING_LEVELS - STILL_LEVELS), 0, 1)
    share = (STILL_SHARE + (1 - STILL_SHARE) * motion).astype(np.float32)
    return cv2.blendLinear(frame.astype(np.float32), mean, share, 1 - share)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (303, 640), (90, 4000), (64, 1)])
def test_noise_is_reduced_to_the_same_bytes_however_the_frame_is_divided(height: int, width: int) -> None:
    first, *others = moving(height, width)
    state, mean = Stabilizer(), first.astype(np.float32)
    assert state.reduce_noise(first) is first
    for frame in others:
        mean = next_mean(frame, mean)
        assert np.array_equal(state.reduce_noise(frame), cv2.convertScaleAbs(mean))


def test_frames_that_were_given_out_stay_as_they_were() -> None:
    state, frames = Stabilizer(), moving(120, 160)
    given = [state.reduce_noise(frame) for frame in frames[:3]]
    kept = [image.copy() for image in given]
    state.reduce_noise(frames[3])
    assert np.array_equal(given, kept)


def test_a_snapshot_stays_as_it_was_while_both_sequences_go_on() -> None:
    frames = moving(120, 160, 8)
    first, second, third = Stabilizer(), Stabilizer(), Stabilizer()
    for frame in frames[:4]:
        first.reduce_noise(frame)
    snapshot = first.snapshot()
    mean = snapshot["mean"].copy()
    expected = [first.reduce_noise(frame) for frame in frames[4:]]
    for other in (second, third):
        other.restore(snapshot)
        assert np.array_equal([other.reduce_noise(frame) for frame in frames[4:]], expected)
        assert np.array_equal(snapshot["mean"], mean)


def test_a_restored_sequence_stays_sparse_as_it_was() -> None:
    """Between the two thresholds, it depends on the frames before."""
    first, second = Stabilizer(), Stabilizer()
    first.is_sparse = True
    second.restore(first.snapshot())
    assert second.is_sparse


@pytest.mark.parametrize("colour", [(90, 90, 90), (10, 120, 240)])
def test_a_frame_of_one_colour_is_flat(colour: tuple[int, int, int]) -> None:
    state = Stabilizer()
    state.detect_scene_cut(np.full((72, 96, 3), colour, np.uint8))
    assert state.is_flat
    state.detect_scene_cut(moving(72, 96)[0])
    assert not state.is_flat


def test_a_frame_read_into_the_first_one_s_buffer_is_compared_with_what_that_was() -> None:
    frames = moving(120, 160)
    state, other, buffer = Stabilizer(), Stabilizer(), frames[0].copy()
    state.reduce_noise(buffer)
    other.reduce_noise(frames[0])
    buffer[:] = frames[1]
    assert np.array_equal(state.reduce_noise(buffer), other.reduce_noise(frames[1]))


@pytest.mark.parametrize("height", [360, 719, 1080])
@pytest.mark.parametrize(("side", "is_sparse"), [(9, True), (3, False)])
def test_a_small_object_is_seen_at_every_size(height: int, side: int, is_sparse: bool) -> None:
    """A lamp at night a ninth of the frame high is sparse, and half a frame of light is not."""
    frame = np.full((height, height * 16 // 9, 3), 20, np.uint8)
    size = height // side if is_sparse else height
    frame[:size, : size if is_sparse else frame.shape[1] // 2] = 230
    state = Stabilizer()
    state.detect_sparsity(frame)
    assert state.is_sparse is is_sparse
