"""The render thread: the camera's latest frame, through a `Renderer`, to the outputs."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from livestyle.errors import DeviceError, LivestyleError, first_line
from livestyle.media.resize import resize
from livestyle.memory import is_memory_error
from livestyle.render.look import Look
from livestyle.render.renderer import Renderer

from .adaptive_resolution import AdaptiveResolution

if TYPE_CHECKING:
    from livestyle.engine.stylizer import Stylizer
    from livestyle.media.capture.camera import Camera
    from livestyle.media.frames import BgrImage, Frame
    from livestyle.styles.library import Style

POLL_SECONDS = 0.05
"""How soon a changed look is noticed while no new frame arrives."""
RETRY_SECONDS = 0.2
"""Pause after a frame that could not be rendered."""
FAILING_SECONDS = 10.0
"""Rendering that has failed for so long has ended: a service that watches the program may start it again."""
CLOSE_SECONDS = 5.0
"""Longest wait for the frame in hand at the end."""
TRIAL_SIDE = 180
"""Short side in pixels of the frame whose rendering time estimates that of a whole one."""
PREVIEW_SIDE = 96
"""Side of a preview in pixels."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Painting:
    """A rendered frame.

    Attributes:
        image: what everybody gets to see, uint8 [H, W, 3] BGR.
        frame: that it was rendered from.
        seconds: that it took.
        size: width and height in pixels that it was rendered at, broader strokes apart; (0, 0) of the plain camera.
    """

    image: BgrImage
    frame: Frame
    seconds: float
    size: tuple[int, int]


class RenderThread:
    """Renders a camera's latest frame on a thread of its own; an unchanged frame in an unchanged look only once.

    Args:
        load: gives the stylizer and the first look; called on the thread, since it takes a while.
        camera: gives the frames.
        write: takes every painting and its time in seconds on the clock of `time.monotonic`, on the thread.
        rate: frames per second to hold by rendering smaller; 0 renders frames at their own size.
    """

    def __init__(
        self,
        load: Callable[[], tuple[Stylizer, Look]],
        camera: Camera,
        write: Callable[[BgrImage, float], object],
        rate: float,
    ) -> None:
        self.look: Look | None = None
        """How to render; None until all is loaded. Replace it at any time after that."""
        self.notice = ""
        """Why frames cannot be rendered at the moment; the last painting stays. Empty while they can."""
        self._load = load
        self._camera = camera
        self._write = write
        self._painting: Painting | None = None
        self._wanted: deque[Style] = deque()
        self._previews: dict[Style, BgrImage] = {}
        self._resolution = AdaptiveResolution(rate)
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="render", daemon=True)

    def start(self) -> None:
        """Load, warm up at the size of the camera's frames, then render."""
        self._thread.start()

    @property
    def painting(self) -> Painting | None:
        """The newest painting; None while the model warms up.

        Raises:
            LivestyleError: rendering has ended, because the camera stopped or the engine failed.
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
        """Request small paintings of the current frame, one of which is made between two frames; see `previews`.

        While some of an earlier request are missing, a new one is ignored.
        """
        if not self._wanted:
            self._wanted = deque(styles)

    @property
    def previews(self) -> dict[Style, BgrImage]:
        """The square previews so far, uint8 [96, 96, 3] BGR; a new dictionary whenever one is added."""
        return self._previews

    def close(self) -> None:
        """Stop, after the frame in hand, or without it where that takes too long."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        try:
            stylizer, look = self._load()
            frame = self._first_frame()
            if frame is None:
                return
            self._warm_up(stylizer, frame.image, look)
            self.look = look
            self._render_all(stylizer, frame)
        except LivestyleError as error:
            self._error = error
        except BaseException as error:
            log.debug("painting has ended", exc_info=error)
            self._error = DeviceError(
                f"painting has ended ({_reason(error)}): start it again, with another device or model",
                setting=("device", "model"),
            )
        finally:
            with self._changed:
                self._changed.notify_all()

    def _first_frame(self) -> Frame | None:
        while not self._stop.is_set():
            frame = self._camera.latest(timeout=POLL_SECONDS)
            if frame is not None:
                return frame
        return None

    def _warm_up(self, stylizer: Stylizer, image: BgrImage, look: Look) -> None:
        """Run the network once at the size it will be used at, which is estimated from a small frame: a large one may
        take seconds, and on CUDA each size is set up on first use."""
        renderer = Renderer(stylizer)
        # At strength 0 the network would not run.
        look = replace(look, strength=1.0)
        height, width = image.shape[:2]
        factor = min(1.0, TRIAL_SIDE / min(width, height))
        trial = resize(image, round(width * factor), round(height * factor))
        seconds = 0.0
        for _ in range(2):
            start = time.monotonic()
            renderer.render(trial, replace(look, stroke_size=1.0))
            seconds = time.monotonic() - start
            renderer.reset()
        self._resolution.start(seconds / factor**2)
        renderer.render(image, look, scale=self._resolution.scale_of(width, height))

    def _render_all(self, stylizer: Stylizer, frame: Frame) -> None:
        renderer, previewer = Renderer(stylizer), Renderer(stylizer)
        when, is_new = float(frame.time), True
        last_look: Look | None = None
        last: BgrImage | None = None
        scale = 1.0
        failing: float | None = None
        while not self._stop.is_set():
            look = self.look
            assert look is not None
            if is_new or look is not last_look:
                scale = self._resolution.scale_of(frame.image.shape[1], frame.image.shape[0])
            start = time.monotonic()
            try:
                rendered = renderer.render(frame, look, time=when, scale=scale)
            except BaseException as error:
                # A graphics card that was taken away or has no memory left, or a look that cannot be rendered.
                failing = start if failing is None else failing
                self._note(error, start - failing)
                renderer, last = Renderer(stylizer), None
                self._stop.wait(RETRY_SECONDS)
                frame = self._camera.latest(timeout=0) or frame
                when = time.monotonic()
                continue
            failing, self.notice = None, ""
            if rendered is not last:
                self._publish(rendered, frame, look, scale, start, when)
            last, last_look = rendered, look
            # The main thread may put another queue in its place.
            wanted = self._wanted
            if wanted:
                self._preview(previewer, frame.image, wanted.popleft())
            newer = self._camera.latest(frame, timeout=POLL_SECONDS)
            is_new = newer is not None
            frame = newer or frame
            # The same frame in another look is a painting of now.
            when = float(frame.time) if is_new else time.monotonic()

    def _note(self, error: BaseException, seconds: float) -> None:
        log.debug("a frame could not be painted", exc_info=error)
        if seconds > FAILING_SECONDS:
            raise DeviceError(
                f"painting has failed for {seconds:.0f} seconds ({_reason(error)}): "
                "try another device or a smaller size",
                setting=("device", "size"),
            ) from error
        self.notice = f"painting fails ({_reason(error)}): trying again ..."

    def _publish(self, image: BgrImage, frame: Frame, look: Look, scale: float, start: float, when: float) -> None:
        end = time.monotonic()
        height, width = frame.image.shape[:2]
        size = (0, 0) if look.plain else (round(width * scale), round(height * scale))
        if not look.plain and look.stroke_size * scale <= 1:
            # Broader strokes take less time, which says nothing about what a frame takes without them.
            self._resolution.update(end - start, end)
        self._write(image, when)
        with self._changed:
            self._painting = Painting(image, frame, end - start, size)
            self._changed.notify_all()

    def _preview(self, renderer: Renderer, image: BgrImage, style: Style) -> None:
        side = min(image.shape[:2])
        top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
        square = resize(image[top : top + side, left : left + side], PREVIEW_SIDE, PREVIEW_SIDE)
        try:
            self._previews = {**self._previews, style: renderer.render(square, Look(style, stabilise=False))}
        except Exception as error:
            # It is asked for again while the strip is shown.
            log.debug("there is no preview of %s", style.name, exc_info=error)


def _reason(error: BaseException) -> str:
    return "there is not enough memory" if is_memory_error(error) else first_line(error)
