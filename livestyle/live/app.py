"""The live program: camera -> painter -> window and outputs.

A thread of the camera keeps its latest frame, a thread of the `Painter` paints it and hands it to the outputs, and the
main thread draws, takes keys and changes the `Look` that the painter reads. Nobody waits for anybody, so keys work
however slow a camera or a model is.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from livestyle.engine.stylizer import Stylizer
from livestyle.errors import InputError, LivestyleError, OutputError
from livestyle.media.capture.camera import Camera, Rate
from livestyle.media.frames import Frame
from livestyle.media.images import write_image
from livestyle.media.sinks.mjpeg_server import MjpegServer
from livestyle.media.sinks.recorder import Recorder
from livestyle.media.sinks.virtual_camera import VirtualCamera
from livestyle.styles.library import Style

from .config import Plan, Targets
from .controls import Controls, style_text
from .keymap import Action, Press, help_rows, read_key
from .outputs import Outputs
from .overlay import Overlay, Thumbnail, draw
from .render_thread import Look, Painter, Painting
from .session import Session, open_session
from .settings import Settings, load_settings, save_settings, settings_path
from .window import Window, require_display

NOTICE_SECONDS = 3.0
FIGURES_SECONDS = 0.5
KEY_MILLISECONDS = 10
IDLE_SECONDS = 0.25
"""How often the loop without a window looks around while no new painting comes."""
STRENGTH_STEP = 0.1
START_SIZE = (640, 360)
"""Of the window and what is in it until the camera has given a frame."""
STYLE_ACTIONS = {Action.STYLE, Action.NEXT, Action.PREVIOUS, Action.HOLD}
"""They show the strip of styles."""

log = logging.getLogger(__name__)


def run_webcam(
    settings: Settings | None = None,
    saved: Settings | None = None,
    device: str = "auto",
    model: str | Path | None = None,
    targets: Targets | None = None,
) -> None:
    """Paint a camera until somebody quits.

    Args:
        settings: what is asked for; where it is None, ``saved`` counts, and then the default.
        saved: choices of earlier times. A style of theirs that is gone is no error.
        device: as `Stylizer` takes it.
        model: the same.
        targets: where the paintings go; None is the window.

    Raises:
        LivestyleError: there is no display, or the camera, a style, the model, the device or an output cannot be used.
    """
    targets = targets or Targets()
    settings, saved = settings or Settings(), saved or Settings()
    plan = Plan.of(settings, saved)
    if remembered := [key for key in saved.chosen() if key not in settings.chosen()]:
        _tell(f"{', '.join(remembered)}: as saved in {settings_path()}; --no-saved leaves that out")
    if targets.window:
        require_display()
    elif targets.record is None and targets.serve is None and not targets.virtual_camera:
        raise InputError("without a window nobody would see it: add --serve PORT, --record FILE or --virtual-camera")
    # Ctrl+C in the terminal is one more way to quit, and so is the end of the terminal or of the system.
    with suppress(KeyboardInterrupt), _interrupted_by_signals(), closing(Outputs()) as outputs:
        if targets.record is not None:
            check_recording(targets.record)
        if targets.serve is not None:
            server = MjpegServer(targets.serve)
            outputs.add(server)
            _tell(f"serving at {server.url}")
        with Camera(plan.camera, plan.size) as camera:
            Live(plan, camera, outputs, targets, device, model).run()


class Times:
    """How long something takes: the median of its last times, which one odd one does not move."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=30)

    def add(self, seconds: float) -> None:
        self._seconds.append(seconds)

    def __str__(self) -> str:
        return f"{median(self._seconds) * 1000:.0f} ms" if self._seconds else "-"


class Live:
    """What the main thread does: keys in, pictures out.

    Args:
        plan: what to begin with.
        camera: gives the frames.
        outputs: get every painting.
        targets: where else the paintings go.
        device: for the model.
        model: to paint with.
    """

    def __init__(
        self,
        plan: Plan,
        camera: Camera,
        outputs: Outputs,
        targets: Targets,
        device: str,
        model: str | Path | None,
    ) -> None:
        self._plan = plan
        self._camera = camera
        self._outputs = outputs
        self._targets = targets
        self._device = device
        self._model = model
        self._painter = Painter(self._load, camera, outputs, plan.rate)
        self._recorder: Recorder | None = None
        self._finisher = ThreadPoolExecutor(1, "finisher")
        self._finished: deque[tuple[Recorder, Future[None]]] = deque()
        self._studio: Session | None = None
        # Comes with the first painting.
        self._picker: Controls | None = None
        self._help = False
        self._notice = ""
        self._notice_until = 0.0
        self._caption_until = time.monotonic() + NOTICE_SECONDS
        self._strip_until = 0.0
        self._figures: tuple[tuple[str, str], ...] = ()
        self._figures_until = 0.0
        self._shown = Rate()
        self._drawing = Times()
        self._painting = Times()
        self._latency = Times()

    def run(self) -> None:
        """Until somebody quits.

        Raises:
            LivestyleError: the camera does not open, the engine failed, or nothing is left to write to.
        """
        try:
            if self._targets.window:
                with closing(Window("livestyle", *START_SIZE)) as window:
                    self._painter.start()
                    self._run_in(window)
            else:
                self._painter.start()
                self._run_without_window()
        finally:
            self._painter.close()
            if self._picker is not None:
                self._picker.close()
            if self._studio is not None:
                self._studio.shelf.close()
            self._finish_recording()
            self._tell_finished(wait=True)
            self._finisher.shutdown()

    def _load(self) -> tuple[Stylizer, Look]:
        """On the painter's thread."""
        plan = self._plan
        self._studio = studio = open_session(plan, self._device, self._model)
        _tell(f"{studio.stylizer.device.text}; model {studio.stylizer.model.manifest.name}")
        look = Look(
            studio.first.stats,
            strength=plan.strength,
            stroke_size=plan.stroke_size,
            mirror=plan.mirror,
            color=plan.color,
            stabilise=plan.stabilise,
            side_by_side=plan.side_by_side,
            region=studio.region,
        )
        return studio.stylizer, look

    # -- the two loops -------------------------------------------------------------------------------------------------

    def _run_in(self, window: Window) -> None:
        blank = np.zeros((START_SIZE[1], START_SIZE[0], 3), np.uint8)
        last: tuple[np.ndarray, Overlay] | None = None
        last_frame: Frame | None = None
        if self._plan.full_screen:
            window.toggle_full_screen()
        while True:
            painting = self._painter.painting
            self._look_around(painting)
            # Until the model is warm, the camera as it is.
            frame = painting.frame if painting is not None else self._camera.latest(timeout=0)
            image = painting.image if painting is not None else blank if frame is None else frame.image
            overlay = self._overlay(painting)
            is_new = last is None or last[0] is not image
            changed = is_new or last is None or last[1] != overlay
            if changed:
                begin = time.monotonic()
                window.fit(*image.shape[1::-1])
                window.show(draw(image, overlay))
                self._drawing.add(time.monotonic() - begin)
                last = (image, overlay)
            # Only while it waits for a key does OpenCV bring the picture to the screen.
            code = window.wait_key(1 if changed else KEY_MILLISECONDS)
            if is_new and painting is not None:
                if painting.frame is not last_frame:
                    self._latency.add(time.monotonic() - float(painting.frame.time))
                last_frame = painting.frame
                self._shown.tick()
                self._painting.add(painting.seconds)
            if not window.is_open:
                return
            press = None if code is None else read_key(code)
            if press is not None:
                if press.action is Action.QUIT:
                    return
                self._act(press, window, painting)

    def _run_without_window(self) -> None:
        painting: Painting | None = None
        notice = ""
        while painting is None or len(self._outputs):
            painting = self._painter.wait(painting, IDLE_SECONDS)
            self._look_around(painting)
            if self._camera.notice != notice:
                notice = self._camera.notice
                _tell(notice or f"{self._camera.name} gives pictures")
        raise OutputError("nothing is left to write the paintings to, so this is the end")

    def _look_around(self, painting: Painting | None) -> None:
        """What happens by itself: styles come and go, time passes, outputs break down."""
        for error in self._outputs.take_errors():
            self._say(str(error), tell=True)
            if self._recorder not in self._outputs:
                self._recorder = None
        self._tell_finished()
        if self._studio is None or painting is None:
            return
        if self._picker is None:
            # Without a window, the terminal is where people look.
            say = self._say if self._targets.window else _tell
            self._picker = Controls(self._plan, self._studio, self._painter, say)
            self._begin(painting)
        self._picker.look_around()

    def _begin(self, painting: Painting) -> None:
        """With the first painting: what needs to know its size."""
        self._say("press h for the keys")
        keys = "; press h in the window for the keys" if self._targets.window else ""
        _tell(f"{self._camera.name} at {self._camera.width}x{self._camera.height}{keys}")
        if self._targets.virtual_camera:
            device = VirtualCamera(*painting.image.shape[1::-1])
            self._outputs.add(device, time.monotonic())
            _tell(f"virtual camera: {device.device}")
        if self._targets.record is not None:
            self._record(self._targets.record, painting)

    # -- keys ----------------------------------------------------------------------------------------------------------

    def _act(self, press: Press, window: Window, painting: Painting | None) -> None:
        # The word on what was done before is out of date.
        self._notice = ""
        match press.action:
            case Action.FULL_SCREEN:
                window.toggle_full_screen()
                return
            case Action.HELP:
                self._help = not self._help
                return
        picker, look = self._picker, self._painter.look
        if painting is None or picker is None or look is None:
            self._say(f"not yet: {self._camera.notice or 'the model is starting'}")
            return
        self._caption_until = time.monotonic() + NOTICE_SECONDS
        match press.action:
            case Action.STYLE:
                picker.choose_number(int(press.key))
            case Action.NEXT:
                picker.step(1)
            case Action.PREVIOUS:
                picker.step(-1)
            case Action.CYCLE:
                picker.toggle_cycle()
            case Action.HOLD:
                picker.hold()
            case Action.MIX_TO_HELD:
                picker.move_mix(-1)
            case Action.MIX_TO_CURRENT:
                picker.move_mix(1)
            case Action.CROSSFADE:
                picker.toggle_crossfade()
            case Action.COLOR:
                picker.next_color()
            case Action.STRONGER:
                self._painter.look = look.stronger(STRENGTH_STEP)
            case Action.WEAKER:
                self._painter.look = look.stronger(-STRENGTH_STEP)
            case Action.BROADER:
                self._painter.look = look.broader(1)
            case Action.FINER:
                self._painter.look = look.broader(-1)
            case Action.PLAIN:
                self._painter.look = replace(look, plain=not look.plain)
            case Action.STABILISER:
                self._painter.look = replace(look, stabilise=not look.stabilise)
                self._say("stabiliser off" if look.stabilise else "stabiliser on")
            case Action.MIRROR:
                self._painter.look = replace(look, mirror=not look.mirror)
                self._say("mirror off" if look.mirror else "mirror on")
            case Action.SIDE_BY_SIDE:
                self._painter.look = replace(look, side_by_side=not look.side_by_side)
            case Action.SNAPSHOT:
                self._save_snapshot(painting)
            case Action.RECORD:
                self._toggle_recording(painting)
            case Action.SAVE:
                self._save_settings(picker, window)
        if press.action in STYLE_ACTIONS:
            self._strip_until = time.monotonic() + NOTICE_SECONDS

    def _save_snapshot(self, painting: Painting) -> None:
        try:
            path = free_name(self._targets.folder, ".png")
            write_image(path, painting.image)
        except OutputError as error:
            self._say(str(error), tell=True)
        else:
            # From the terminal it can be copied.
            self._say(f"saved {path}", tell=True)

    def _toggle_recording(self, painting: Painting) -> None:
        try:
            if self._recorder is None:
                self._record(free_name(self._targets.folder, ".mp4"), painting)
            else:
                self._finish_recording()
        except LivestyleError as error:
            self._say(str(error), tell=True)

    def _finish_recording(self) -> None:
        """Complete the film on another thread: a slow disk must not hold up the keys."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            self._finished.append((recorder, self._finisher.submit(self._outputs.remove, recorder)))

    def _tell_finished(self, wait: bool = False) -> None:
        while self._finished and (wait or self._finished[0][1].done()):
            recorder, finished = self._finished.popleft()
            try:
                finished.result()
                self._say(f"saved {recorder.path}, {clock(recorder.seconds)}", tell=True)
            except LivestyleError as error:
                self._say(str(error), tell=True)

    def _record(self, path: Path, painting: Painting) -> None:
        self._recorder = Recorder(path, *painting.image.shape[1::-1])
        self._outputs.add(self._recorder, time.monotonic())
        self._say(f"recording to {path}", tell=True)

    def _save_settings(self, picker: Controls, window: Window) -> None:
        assert self._studio is not None
        look, plan, background = picker.look, self._plan, self._studio.background
        try:
            # Other lines of the file stay as they are, whatever this run began with.
            before = load_settings()
        except LivestyleError as error:
            self._say(str(error), tell=True)
            return
        settings = replace(
            before,
            style=picker.recipe_text(),
            styles=None if plan.styles is None else str(plan.styles.resolve()),
            strength=look.strength,
            stroke_size=look.stroke_size,
            color=look.color,
            mask=None if plan.mask is None else str(plan.mask.resolve()),
            background=plan.background if background is None else style_text(background),
            mirror=look.mirror,
            side_by_side=look.side_by_side,
            stabilise=look.stabilise,
            full_screen=window.is_full_screen,
            crossfade=picker.crossfade,
        )
        try:
            self._say(f"saved {save_settings(settings)}", tell=True)
        except LivestyleError as error:
            self._say(str(error), tell=True)

    # -- words and figures ---------------------------------------------------------------------------------------------

    def _say(self, text: str, tell: bool = False) -> None:
        self._notice, self._notice_until = text, time.monotonic() + NOTICE_SECONDS
        if tell:
            _tell(text)

    def _overlay(self, painting: Painting | None) -> Overlay:
        now = time.monotonic()
        if self._help and now >= self._figures_until:
            # Figures that change with every frame cannot be read.
            self._figures, self._figures_until = self._measure(painting), now + FIGURES_SECONDS
        recorder, picker = self._recorder, self._picker
        strip: tuple[Thumbnail, ...] = ()
        if picker is not None and (self._help or now < self._strip_until):
            strip = self._strip(picker.styles)
        return Overlay(
            # It leaves the picture alone while nobody touches a key.
            caption=self._caption() if painting is None or self._help or now < self._caption_until else "",
            strip=strip,
            current=-1 if picker is None or picker.place is None else picker.place,
            notice=self._notice if now < self._notice_until else "",
            help=help_rows() if self._help else (),
            figures=self._figures if self._help else (),
            warning=self._camera.notice,
            recording=f"REC {clock(recorder.seconds)}" if recorder is not None else "",
        )

    def _strip(self, styles: Sequence[Style]) -> tuple[Thumbnail, ...]:
        assert self._studio is not None
        images = {style: self._studio.shelf.thumbnail(style) for style in styles}
        # What has no picture of its own is shown by what it makes of the camera's.
        without = [style for style, image in images.items() if image is None and style.source is None]
        previews = self._painter.previews
        missing = [style for style in without if style not in previews]
        if missing:
            self._painter.request_previews(missing)
        images.update({style: previews.get(style) for style in without})
        return tuple(Thumbnail(style.name, images[style]) for style in styles)

    def _caption(self) -> str:
        if self._picker is None:
            return "starting the model ..."
        return "plain camera" if self._picker.look.plain else self._picker.label

    def _measure(self, painting: Painting | None) -> tuple[tuple[str, str], ...]:
        camera, recorder = self._camera, self._recorder
        rows = [
            ("screen", f"{self._shown.value:.1f} frames/s, {self._latency} after the camera"),
            ("drawing", str(self._drawing)),
        ]
        if painting is not None:
            width, height = painting.size
            rows[:0] = [
                (
                    "camera",
                    f"{camera.rate.value:.1f} frames/s, {camera.width}x{camera.height}, {camera.seconds * 1000:.0f} ms",
                ),
                ("painting", f"{self._painting}" + (f" at {width}x{height}" if width else "")),
            ]
        if recorder is not None and recorder.dropped:
            rows.append(("recording", f"{recorder.dropped} frames left out: encoding is too slow"))
        return tuple(rows)


def clock(seconds: float) -> str:
    """Seconds as people write them: ``1:05``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def check_recording(path: Path) -> None:
    """Refuse before anything starts what would fail with the first painting.

    Raises:
        OutputError: the name is no MP4 file's, is taken, or lies in no folder.
    """
    if path.suffix.lower() != ".mp4":
        raise OutputError(f"cannot record to {path}: end the name with .mp4")
    if path.exists():
        raise OutputError(f"{path} already exists: record to another name")
    if not path.parent.is_dir():
        raise OutputError(f"cannot record to {path}: there is no folder {path.parent}, make it first")


def free_name(folder: Path, suffix: str) -> Path:
    """A name for a snapshot or a recording that no file in ``folder`` has yet.

    Raises:
        OutputError: there is no such folder.
    """
    try:
        folder = folder.resolve(strict=True)
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror or error}") from error
    stem = time.strftime("livestyle-%Y%m%d-%H%M%S")
    path, number = folder / f"{stem}{suffix}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    return path


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """One of Ctrl+C, SIGTERM and SIGHUP interrupts the body; more of them do not keep it from completing its files."""
    interrupted = False

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # What is ignored, as under nohup, stays ignored.
    before = {n: signal.signal(n, interrupt) for n in numbers if signal.getsignal(n) is not signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
