"""The live program: camera -> engine -> window.

A thread of the camera keeps its latest frame, a thread of the `Painter` paints it, and the main thread draws, takes
keys and changes the `Look` that the painter reads. Nobody waits for anybody, so keys work however slow a model is.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from livestyle.engine import StyleStats, Stylizer, check_strength
from livestyle.errors import InputError, OutputError
from livestyle.media.base import Frame
from livestyle.media.camera import Camera, Rate, parse_size
from livestyle.media.pictures import write_picture
from livestyle.model import MINIMUM_SIDE
from livestyle.styles import Style, StyleLibrary, existing_path, mix
from livestyle.temporal import ContentState

from .hud import Overlay, draw
from .keymap import Action, Press, help_rows, read_key
from .window import Window, require_display

CROSSFADE_SECONDS = 0.4
NOTICE_SECONDS = 3.0
FIGURES_SECONDS = 0.5
KEY_MILLISECONDS = 10
PATIENCE_SECONDS = 0.05
"""How soon the painter notices a changed look while no new frame arrives."""
STRENGTH_STEP = 0.1


def run_webcam(
    camera: str = "0",
    style: str | None = None,
    strength: float = 1.0,
    device: str = "auto",
    model: str | Path | None = None,
    size: str | None = None,
    snapshots: Path | None = None,
) -> None:
    """Paint a camera in a window until somebody quits.

    Args:
        camera: a camera's number, a device, a file (which repeats) or a stream's address.
        style: as `StyleLibrary.find` takes it, to begin with; keys go on to the other pictures of a folder, or to the
            presets. None is the first preset.
        strength: 0..1, to begin with.
        device: as `Stylizer` takes it.
        model: the same.
        size: such as ``640x360``: frames are scaled to fit in it; None paints them as large as they come.
        snapshots: the folder for them; None is the current one.

    Raises:
        LivestyleError: there is no display, or the camera, the style, the model or the device cannot be used.
    """
    require_display()
    check_strength(strength)
    # Ctrl+C in the terminal is one more way to quit.
    with suppress(KeyboardInterrupt), Camera(camera, None if size is None else parse_size(size)) as source:
        if min(source.width, source.height) < MINIMUM_SIDE:
            raise InputError(
                f"frames of {source.width}x{source.height} are too small: {MINIMUM_SIDE} pixels or more each way are "
                "painted, choose a larger --size"
            )
        stylizer = Stylizer(model, device)
        styles, first = choose_styles(StyleLibrary(stylizer), style)
        print(
            f"{stylizer.device.text}; model {stylizer.model.manifest.name}; "
            f"{source.name} at {source.width}x{source.height}; press h in the window for help",
            file=sys.stderr,
            flush=True,
        )
        Live(stylizer, source, styles, first, strength, Path() if snapshots is None else snapshots).run()


def choose_styles(library: StyleLibrary, text: str | None) -> tuple[list[Style], int]:
    """The styles that keys go through, and the place of the one to begin with.

    Raises:
        StyleError: there is no such style, or no preset where none is named.
    """
    presets = list(library.presets.values())
    found = [library.first()] if text is None else library.find(text)
    if found[0] in presets:
        return presets, presets.index(found[0])
    path = None if text is None else existing_path(text)
    return (found, 0) if path is not None and path.is_dir() else (found + presets, 0)


@dataclass(frozen=True)
class Look:
    """What the painter is to do with a frame; a changed look is a new one.

    Attributes:
        style: to paint in.
        strength: 0..1.
        plain: the camera as it is.
        mirror: left and right change places.
        before: the style that ``style`` crossfades from.
        since: when it began to, on the clock of `time.monotonic`.
    """

    style: StyleStats
    strength: float = 1.0
    plain: bool = False
    mirror: bool = False
    before: StyleStats | None = None
    since: float = 0.0

    def stats(self, now: float) -> StyleStats:
        """The style at a moment, in the middle of a crossfade or after it."""
        share = (now - self.since) / CROSSFADE_SECONDS
        if self.before is None or share >= 1:
            return self.style
        return mix([self.before, self.style], [1 - max(0.0, share), max(0.0, share)])


@dataclass(frozen=True, eq=False)
class Painting:
    """A painted frame and the seconds that it took."""

    image: np.ndarray
    frame: Frame
    seconds: float


class Painter:
    """Paints a camera's latest frame on a thread of its own; an unchanged frame in an unchanged look only once."""

    def __init__(self, stylizer: Stylizer, camera: Camera, look: Look) -> None:
        self.look = look
        """Replace it at any time."""
        self._stylizer = stylizer
        self._camera = camera
        self._painting: Painting | None = None
        self._error: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="painter", daemon=True)

    def start(self) -> None:
        """Warm the model up, then paint."""
        self._thread.start()

    @property
    def painting(self) -> Painting | None:
        """The newest one; None while the model warms up.

        Raises:
            LivestyleError: painting has ended, because the camera stopped or the engine failed.
        """
        if self._error is not None:
            raise self._error
        return self._painting

    def close(self) -> None:
        """Stop, after the frame in hand."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._stylizer.warm_up(self._camera.height, self._camera.width)
            self._paint()
        except BaseException as error:
            self._error = error

    def _paint(self) -> None:
        state = ContentState()
        frame: Frame | None = None
        done: tuple[Look, StyleStats] | None = None
        while not self._stop.is_set():
            newer = self._camera.latest(frame, timeout=PATIENCE_SECONDS)
            look = self.look
            stats = look.stats(time.monotonic())
            repeated = newer is None or (frame is not None and np.array_equal(newer.image, frame.image))
            frame = newer or frame
            if frame is None or (repeated and done is not None and done[0] is look and done[1] is stats):
                continue
            if done is not None and (look is not done[0] or stats is not done[1]):
                # The statistics of frames that were painted otherwise no longer fit.
                state.reset()
            start = time.monotonic()
            image = np.ascontiguousarray(frame.image[:, ::-1]) if look.mirror else frame.image
            if not look.plain:
                image = self._stylizer.stylize(image, stats, look.strength, state)
            self._painting = Painting(image, frame, time.monotonic() - start)
            done = (look, stats)


class Live:
    """What the main thread does: keys in, pictures out.

    Args:
        stylizer: paints.
        camera: gives the frames.
        styles: what keys choose from, 1 or more.
        first: place of the style to begin with.
        strength: 0..1, to begin with.
        snapshots: the folder for them.
    """

    def __init__(
        self, stylizer: Stylizer, camera: Camera, styles: Sequence[Style], first: int, strength: float, snapshots: Path
    ) -> None:
        self._stylizer = stylizer
        self._camera = camera
        self._styles = styles
        self._current = first
        self._snapshots = snapshots
        self._look = Look(styles[first].stats, strength)
        self._help = False
        self._notice = ""
        self._notice_until = 0.0
        self._touched = time.monotonic()
        self._figures: tuple[tuple[str, str], ...] = ()
        self._figures_until = 0.0
        self._shown = Rate()

    def run(self) -> None:
        """Until somebody quits or the camera stops.

        Raises:
            LivestyleError: the camera stopped, or the engine failed.
        """
        self._say("press h for help")
        with Window("livestyle", self._camera.width, self._camera.height) as window:
            painter = Painter(self._stylizer, self._camera, self._look)
            try:
                painter.start()
                self._loop(window, painter)
            finally:
                window.close()
                painter.close()

    def _loop(self, window: Window, painter: Painter) -> None:
        last: tuple[object, Overlay] | None = None
        while True:
            painting = painter.painting
            overlay = self._overlay(painting)
            # Until the model is warm, the camera as it is.
            frame = painting.frame if painting is not None else self._camera.latest()
            if frame is not None and (last is None or last[0] is not (painting or frame) or last[1] != overlay):
                if painting is not None and (last is None or last[0] is not painting):
                    self._shown.tick()
                window.show(draw(painting.image if painting is not None else frame.image, overlay))
                last = (painting or frame, overlay)
            code = window.wait_key(KEY_MILLISECONDS)
            if not window.is_open:
                return
            press = None if code is None else read_key(code)
            if press is not None:
                if press.action is Action.QUIT:
                    return
                self._touched = time.monotonic()
                self._act(press, window, painting)
                painter.look = self._look

    def _act(self, press: Press, window: Window, painting: Painting | None) -> None:
        match press.action:
            case Action.STYLE:
                self._choose(int(press.key) - 1)
            case Action.NEXT:
                self._choose((self._current + 1) % len(self._styles))
            case Action.PREVIOUS:
                self._choose((self._current - 1) % len(self._styles))
            case Action.STRONGER:
                self._strengthen(STRENGTH_STEP)
            case Action.WEAKER:
                self._strengthen(-STRENGTH_STEP)
            case Action.PLAIN:
                self._look = replace(self._look, plain=not self._look.plain)
            case Action.MIRROR:
                self._look = replace(self._look, mirror=not self._look.mirror)
            case Action.SNAPSHOT:
                self._save_snapshot(painting)
            case Action.FULL_SCREEN:
                window.toggle_full_screen()
            case Action.HELP:
                self._help = not self._help

    def _choose(self, number: int) -> None:
        if number >= len(self._styles):
            self._say(f"there are {len(self._styles)} styles, no number {number + 1}")
            return
        now = time.monotonic()
        # A switch in the middle of a crossfade goes on from what is on the screen.
        before = None if self._look.plain else self._look.stats(now)
        self._current = number
        style = self._styles[number].stats
        self._look = replace(self._look, style=style, before=before, since=now, plain=False)

    def _strengthen(self, step: float) -> None:
        strength = round(min(1.0, max(0.0, self._look.strength + step)), 2)
        self._look = replace(self._look, strength=strength, plain=False)

    def _save_snapshot(self, painting: Painting | None) -> None:
        if painting is None:
            self._say("no snapshot yet: the model is starting")
            return
        try:
            path = free_name(self._snapshots)
            write_picture(path, painting.image)
            text = f"saved {path}"
        except OutputError as error:
            text = str(error)
        self._say(text)
        # From there it can be copied.
        print(text, file=sys.stderr, flush=True)

    def _say(self, text: str) -> None:
        self._notice, self._notice_until = text, time.monotonic() + NOTICE_SECONDS

    def _overlay(self, painting: Painting | None) -> Overlay:
        now = time.monotonic()
        style = self._styles[self._current].name
        caption = f"{self._current + 1} {style}, strength {self._look.strength:.0%}"
        if painting is None:
            caption = f"starting {style} ..."
        elif self._look.plain:
            caption = "plain camera"
        if self._help and now >= self._figures_until:
            # Figures that change with every frame cannot be read.
            self._figures, self._figures_until = self._measure(painting), now + FIGURES_SECONDS
        return Overlay(
            # It leaves the picture alone while nobody touches a key.
            caption=caption if painting is None or self._help or now < self._touched + NOTICE_SECONDS else "",
            notice=self._notice if now < self._notice_until else "",
            help=help_rows() if self._help else (),
            figures=self._figures if self._help else (),
        )

    def _measure(self, painting: Painting | None) -> tuple[tuple[str, str], ...]:
        seconds = 0.0 if painting is None else painting.seconds
        return (
            ("camera", f"{self._camera.rate.value:.1f} frames/s, {self._camera.width}x{self._camera.height}"),
            ("painting", f"{seconds * 1000:.0f} ms"),
            ("screen", f"{self._shown.value:.1f} frames/s"),
        )


def free_name(folder: Path) -> Path:
    """A name for a snapshot that no file in ``folder`` has yet.

    Raises:
        OutputError: there is no such folder.
    """
    try:
        folder = folder.resolve(strict=True)
    except OSError as error:
        raise OutputError(f"cannot write a snapshot to {folder}: {error.strerror or error}") from error
    stem = time.strftime("livestyle-%Y%m%d-%H%M%S")
    path, number = folder / f"{stem}.png", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.png"
    return path
