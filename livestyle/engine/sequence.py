"""Several frames of a sequence in one run of the network, while the frames behind them are made ready."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from livestyle.errors import DeviceError

if TYPE_CHECKING:
    from .session import NetworkSession
    from .stabilizer import Stabilizer
    from .style import StyleStats


def stylize_sequence(
    network: NetworkSession,
    frames: np.ndarray,
    styles: Sequence[StyleStats],
    strength: float,
    state: Stabilizer | None,
    mask: np.ndarray | None,
) -> np.ndarray:
    """Stylized frames of a sequence, as one by one: the network itself carries its statistics through a batch.

    Batches are whole ones, of `NetworkSession.batch`, since each number of frames has a session of its own. They end
    at a scene cut. Another thread runs the network, in order, so that a GPU works while the noise of the next batch is
    reduced. Where memory is short, frames are painted one by one from there on.

    Args:
        network: one that measures every pixel, not the 8-bit one.
        frames: uint8 [N, H, W, 3].
        styles: one, or with a mask two.
        strength: 0..1.
        state: of the sequence; it is read and updated. None normalises each frame with its own statistics.
        mask: uint8 [N, H, W].

    Returns:
        uint8 [N, H, W, 3].

    Raises:
        DeviceError: the device cannot paint one frame of this size.
    """
    values = None if state is None else state.values
    momentum = 0.0 if state is None else state.next_momentum

    def run(places: list[int], images: list[np.ndarray], starts: bool, keep: bool) -> np.ndarray:
        nonlocal values, momentum
        if starts:
            values = None
        known = np.zeros(network.state_size, np.float32) if values is None else values
        masks = None if mask is None else np.ascontiguousarray(mask[places])
        painted, found = network.run(
            np.stack(images), styles, strength, known, 0.0 if values is None else momentum, masks
        )
        if keep and state is not None:
            values, momentum = found, state.momentum
        return painted

    def paint(places: list[int], images: list[np.ndarray], starts: bool, keep: bool) -> np.ndarray:
        if len(places) in (1, network.batch):
            try:
                return run(places, images, starts, keep)
            except DeviceError:
                if len(places) == 1:
                    raise
                # Memory that is enough for one frame.
                network.batch = 1
        each = [run([place], [image], starts, keep) for place, image in zip(places, images, strict=True)]
        return np.concatenate(each)

    # A batch has one momentum. The first frame of a scene has another, and so has the one after frames that left the
    # statistics as they were.
    alone = state is not None and (values is None or state.frames_since > 0)
    starts = False
    waiting: list[tuple[int, np.ndarray]] = []
    painting: list[Future[np.ndarray]] = []
    with ThreadPoolExecutor(1, "stylize") as pool:

        def submit(keep: bool = True) -> None:
            nonlocal starts
            if waiting:
                places, images = (list(part) for part in zip(*waiting, strict=True))
                painting.append(pool.submit(paint, places, images, starts, keep))
                waiting.clear()
                starts = False

        try:
            for place, frame in enumerate(frames):
                if state is not None:
                    if state.detect_scene_cut(frame):
                        submit()
                        alone = starts = True
                    frame = state.reduce_noise(frame)
                waiting.append((place, frame))
                if alone or len(waiting) >= network.batch:
                    is_flat = state is not None and state.is_flat
                    submit(keep=not is_flat)
                    alone = starts = is_flat
            submit()
            stylized = np.concatenate([future.result() for future in painting])
        except BaseException:
            # Ctrl-C or an error: nobody waits for the batches behind it.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if state is not None and not state.is_flat:
        state.values, state.frames_since = values, 0
    return stylized
