"""The thread that paints: the camera's latest frame, as the `Look` says, into the newest `Painting`."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from livestyle.engine.model import MINIMUM_SIDE
from livestyle.engine.stabilizer import Stabilizer
from livestyle.engine.stylizer import StyleStats, Stylizer, lay_over
from livestyle.media.frames import Frame
from livestyle.media.mask import Mask
from livestyle.render.color import ColorMode, keep_colors
from livestyle.styles.library import Style, mix

from .adaptive_resolution import Pace

if TYPE_CHECKING:
    from livestyle.media.capture.camera import Camera

PATIENCE_SECONDS = 0.05
"""How soon the painter notices a changed look while no new frame arrives."""
LEAST_SIDE = 144
"""Of what is painted to hold a rate, in pixels: less is no painting of anything."""
TRIAL_SIDE = 180
"""Of what the time for a frame is judged by, in pixels."""
STROKE_SIZES = (1.0, 1.5, 2.0, 3.0, 4.0)
"""That keys choose from."""
PREVIEW_SIDE = 96
"""Of a preview, in pixels."""


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the camera's picture.

    Attributes:
        mask: where it is; a picture.
        outside: the style of the rest; None leaves the rest as it is.
    """

    mask: Mask
    outside: StyleStats | None

    def mask_for(self, image: np.ndarray, mirror: bool) -> np.ndarray:
        """The mask of a picture, uint8 [H, W, 3], that may be mirrored: uint8 [H, W]."""
        mask = self.mask.at(0, image.shape[1], image.shape[0])
        return mask[:, ::-1] if mirror else mask


@dataclass(frozen=True)
class Look:
    """What the painter is to do with a frame; a changed look is a new one.

    Attributes:
        style: to paint in.
        strength: 0..1.
        stroke_size: how many times as wide strokes are.
        plain: the camera as it is.
        mirror: left and right change places.
        color: whose colours; `ColorMode.MATCH` is in the style already and changes nothing here.
        stabilise: normalise with running content statistics, and paint frames whose noise is averaged away.
        side_by_side: the frame to the left of its painting.
        before: the style that ``style`` crossfades from.
        since: when it began to, on the clock of `time.monotonic`.
        crossfade: seconds that it takes.
        region: where to paint in the style; None is everywhere.
    """

    style: StyleStats
    strength: float = 1.0
    stroke_size: float = 1.0
    plain: bool = False
    mirror: bool = False
    color: ColorMode = ColorMode.STYLE
    stabilise: bool = True
    side_by_side: bool = False
    before: StyleStats | None = None
    since: float = 0.0
    crossfade: float = 0.0
    region: Region | None = None

    def stronger(self, step: float) -> Look:
        """With another strength, ``step`` more within 0..1, and painted."""
        return replace(self, strength=round(min(1.0, max(0.0, self.strength + step)), 2), plain=False)

    def broader(self, step: int) -> Look:
        """With the next broader (1) or finer (-1) strokes of `STROKE_SIZES`, and painted."""
        others = [size for size in STROKE_SIZES if (size - self.stroke_size) * step > 0]
        size = min(others, key=lambda other: abs(other - self.stroke_size), default=self.stroke_size)
        return replace(self, stroke_size=size, plain=False)

    def stats(self, now: float) -> StyleStats:
        """The style at a moment, in the middle of a crossfade or after it."""
        if self.before is None or now >= self.since + self.crossfade:
            return self.style
        share = max(0.0, (now - self.since) / self.crossfade)
        return mix([self.before, self.style], [1 - share, share])


@dataclass(frozen=True, eq=False)
class Painting:
    """A painted frame.

    Attributes:
        image: what everybody gets to see, uint8 [H, W, 3] BGR.
        frame: that it was painted from.
        seconds: that it took.
        size: width and height that it was painted at, in pixels; (0, 0) for the plain camera.
    """

    image: np.ndarray
    frame: Frame
    seconds: float
    size: tuple[int, int]


class Output(Protocol):
    """Takes every new picture, at once and without holding the painter up."""

    def write(self, image: np.ndarray, time: float) -> None: ...


class Painter:
    """Paints a camera's latest frame on a thread of its own; an unchanged frame in an unchanged look only once.

    Args:
        load: gives the stylizer and the first look; called on the thread, since it takes a while.
        camera: gives the frames.
        output: gets every painting.
        rate: frames a second to hold by painting smaller; 0 paints frames as large as they are.
    """

    def __init__(self, load: Callable[[], tuple[Stylizer, Look]], camera: Camera, output: Output, rate: float) -> None:
        self._load = load
        self._camera = camera
        self._output = output
        self._look: Look | None = None
        self._painting: Painting | None = None
        self._wanted: deque[Style] = deque()
        self._previews: dict[Style, np.ndarray] = {}
        self._pace = Pace(rate)
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="painter", daemon=True)

    def start(self) -> None:
        """Load, warm up at the size of the camera's frames, then paint."""
        self._thread.start()

    @property
    def look(self) -> Look | None:
        """What is painted with; None until all is loaded. Replace it at any time after that."""
        return self._look

    @look.setter
    def look(self, look: Look) -> None:
        self._look = look

    @property
    def painting(self) -> Painting | None:
        """The newest one; None while the model warms up.

        Raises:
            LivestyleError: painting has ended, because the camera stopped or the engine failed.
        """
        if self._error is not None:
            raise self._error
        return self._painting

    def wait(self, after: Painting | None, timeout: float) -> Painting | None:
        """`painting`, as soon as it is another than ``after`` or ``timeout`` seconds have passed."""
        with self._changed:
            self._changed.wait_for(lambda: self._error is not None or self._painting is not after, timeout)
        return self.painting

    def request_previews(self, styles: Iterable[Style]) -> None:
        """Have small paintings made of the current frame, one between two frames; see `previews`.

        Those that were asked for before and are not made yet come first.
        """
        if not self._wanted:
            self._wanted = deque(styles)

    @property
    def previews(self) -> dict[Style, np.ndarray]:
        """Small square paintings that were made, uint8 [96, 96, 3] BGR; a new dictionary whenever one is added."""
        return self._previews

    def close(self) -> None:
        """Stop, after the frame in hand."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            stylizer, look = self._load()
            frame = self._first_frame()
            if frame is None:
                return
            two_styles = look.region is not None and look.region.outside is not None
            height, width = frame.image.shape[:2]
            self._warm_up(stylizer, width, height, two_styles)
            self._look = look
            self._paint_all(stylizer)
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._changed.notify_all()

    def _warm_up(self, stylizer: Stylizer, width: int, height: int, two_styles: bool) -> None:
        """Set up the size that frames will be painted at, judged by a small one: a large one may take seconds."""
        factor = max(min(1.0, TRIAL_SIDE / min(width, height)), MINIMUM_SIDE / min(width, height))
        trial = (round(height * factor), round(width * factor))
        stylizer.warm_up(*trial, two_styles)
        start = time.monotonic()
        stylizer.warm_up(*trial, two_styles)
        self._pace.begin((time.monotonic() - start) / factor**2)
        width, height = self._size(width, height)
        stylizer.warm_up(height, width, two_styles)

    def _first_frame(self) -> Frame | None:
        while not self._stop.is_set():
            frame = self._camera.latest(timeout=PATIENCE_SECONDS)
            if frame is not None:
                return frame
        return None

    def _paint_all(self, stylizer: Stylizer) -> None:
        state = Stabilizer()
        frame: Frame | None = None
        done: tuple[Look, StyleStats] | None = None
        while not self._stop.is_set():
            newer = self._camera.latest(frame, timeout=PATIENCE_SECONDS)
            look = self._look
            assert look is not None
            stats = look.stats(time.monotonic())
            repeated = newer is None or (frame is not None and np.array_equal(newer.image, frame.image))
            frame = newer or frame
            assert frame is not None
            if not repeated or done is None or done[0] is not look or done[1] is not stats:
                if done is not None and (look is not done[0] or stats is not done[1]):
                    if (look.mirror, look.plain) == (done[0].mirror, done[0].plain):
                        # The statistics of frames that were painted otherwise no longer fit.
                        state.reset_statistics()
                    else:
                        state.reset()
                painting = self._paint(stylizer, frame, look, stats, state if look.stabilise else None)
                # The same frame in another look is a picture of now.
                self._publish(painting, time.monotonic() if newer is None else float(frame.time))
                done = (look, stats)
            # The main thread may put another in its place.
            wanted = self._wanted
            if wanted:
                self._preview(stylizer, frame.image, wanted.popleft())

    def _paint(
        self, stylizer: Stylizer, frame: Frame, look: Look, stats: StyleStats, state: Stabilizer | None
    ) -> Painting:
        start = time.monotonic()
        image = np.ascontiguousarray(frame.image[:, ::-1]) if look.mirror else frame.image
        if look.plain:
            return Painting(image, frame, time.monotonic() - start, (0, 0))
        height, width = image.shape[:2]
        size = self._size(width, height)
        # Where a rate is held by painting smaller, strokes are broader already.
        stroke_size = max(1.0, look.stroke_size * size[0] / width)
        region, content = look.region, resized(image, size)
        mask = outside = None
        if region is not None and region.outside is not None:
            mask, outside = region.mask_for(content, look.mirror), region.outside
        painted = stylizer.stylize(
            content, stats, look.strength, state, mask=mask, background=outside, stroke_size=stroke_size
        )
        painted = resized(painted, (width, height))
        if region is not None and region.outside is None:
            # Laid over the camera's own picture, which is not scaled.
            painted = lay_over(image, painted, region.mask_for(image, look.mirror))
        if look.color is ColorMode.CONTENT:
            painted = keep_colors(image, painted)
        if look.side_by_side:
            painted = np.hstack([image, painted])
        end = time.monotonic()
        if stroke_size == 1:
            # With broader strokes a frame takes less, and says nothing about what it takes without.
            self._pace.tell(end - start, end)
        return Painting(painted, frame, end - start, size)

    def _size(self, width: int, height: int) -> tuple[int, int]:
        """To paint frames of this width and height at."""
        short = min(width, height)
        # The network takes no less than the second; cameras may give that.
        scale = max(min(1.0, max(self._pace.scale, LEAST_SIDE / short)), MINIMUM_SIDE / short)
        return round(width * scale), round(height * scale)

    def _publish(self, painting: Painting, moment: float) -> None:
        self._output.write(painting.image, moment)
        with self._changed:
            self._painting = painting
            self._changed.notify_all()

    def _preview(self, stylizer: Stylizer, image: np.ndarray, style: Style) -> None:
        side = min(image.shape[:2])
        top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
        small = resized(image[top : top + side, left : left + side], (PREVIEW_SIDE, PREVIEW_SIDE))
        self._previews = {**self._previews, style: stylizer.stylize(np.ascontiguousarray(small), style.stats)}


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture at a width and height; itself where it has them already."""
    import cv2

    if image.shape[1::-1] == size:
        return image
    smaller = size[0] < image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
