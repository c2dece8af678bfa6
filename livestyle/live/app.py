"""The live program: a camera, rendered and shown in a window, and written to sinks.

The camera's thread keeps its latest frame, the `RenderThread` renders it and writes it to the outputs, and the main
thread draws, takes keys and sets the look. No thread waits for another, so that keys work however slow a camera or a
model is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from livestyle.engine.stylizer import Stylizer
from livestyle.errors import DeviceError, InputError, LivestyleError, OutputError, first_line
from livestyle.media.capture.camera import Camera
from livestyle.media.frames import BgrImage
from livestyle.media.sinks.mjpeg_server import MjpegServer
from livestyle.media.sinks.virtual_camera import HEIGHT, RATE, WIDTH, VirtualCamera
from livestyle.memory import limit_heaps
from livestyle.render.look import Look

from .color_matcher import ColorMatcher
from .config import Config, SinkOptions
from .controls import Controls, style_text
from .errands import Errands
from .figures import Figures
from .keymap import Action, Press, help_rows, read_key
from .outputs import Outputs
from .overlay import Overlay, Thumbnail, draw
from .process import interrupted_by_signals, tell
from .recording import Recording, check_recording, clock, free_name, save_snapshot
from .render_thread import Painting, RenderThread
from .session import Session, open_session
from .settings import Settings, load_settings, save_settings, settings_path
from .window import Screen, Window, require_display

NOTICE_SECONDS = 3.0
KEY_MILLISECONDS = 10
IDLE_SECONDS = 0.25
"""How often the loop without a window looks around while no new painting comes."""
START_SIZE = (640, 360)
"""Width and height in pixels of the window and what is in it until the camera has given a frame."""
ELSEWHERE = " (from another machine, with the address of this one in place of localhost)"
STYLE_ACTIONS = {Action.STYLE, Action.NEXT, Action.PREVIOUS, Action.HOLD}
"""They show the strip of styles."""


def run_webcam(
    asked: Settings | None = None,
    saved: Settings | None = None,
    device: str = "auto",
    model: str | Path | None = None,
    sinks: SinkOptions | None = None,
    stop: threading.Event | None = None,
    *,
    insecure: bool = False,
) -> None:
    """Render a camera until somebody quits.

    On the main thread, SIGINT, SIGTERM and SIGHUP quit too.

    Args:
        asked: what is asked for; where it is None, ``saved`` counts, and then the default.
        saved: choices of earlier times. A saved style that is gone is no error.
        device: as `Stylizer` takes it.
        model: the same.
        sinks: where the paintings go; None is the window.
        stop: quits when another thread sets it.
        insecure: take any certificate of an encrypted stream.

    Raises:
        LivestyleError: there is no display, or the camera, a style, the model, the device or a sink cannot be used.
    """
    sinks = sinks or SinkOptions()
    asked, saved = asked or Settings(), saved or Settings()
    config = Config.of(asked, saved)
    if remembered := [key for key in saved.chosen() if key not in asked.chosen()]:
        tell(f"{', '.join(remembered)}: as saved in {settings_path()}")
    if sinks.window:
        require_display()
    elif sinks.record is None and sinks.serve is None and not sinks.virtual_camera:
        raise InputError(
            "without a window nobody would see it: serve it, record it or be a virtual camera",
            setting=("serve", "record", "virtual_camera"),
        )
    with suppress(KeyboardInterrupt), interrupted_by_signals(), closing(Outputs()) as outputs:
        if sinks.record is not None:
            check_recording(sinks.record)
        if sinks.serve is not None:
            server = MjpegServer(sinks.serve, token=sinks.serve_token)
            outputs.add(server)
            tell(f"serving at {server.link}{ELSEWHERE if server.is_everywhere else ''}")
        if sinks.virtual_camera:
            virtual = VirtualCamera()
            outputs.add(virtual)
            tell(f"virtual camera: {virtual.device}, {WIDTH}x{HEIGHT} at {RATE} frames/s")
        with (
            Camera(config.camera, config.size, every_frame=config.every_frame, insecure=insecure) as camera,
            closing(App(config, camera, outputs, sinks, device, model, stop)) as app,
        ):
            if sinks.window:
                with closing(Window("livestyle", *START_SIZE)) as window:
                    app.run_in(window)
            else:
                app.run_without_window()


class App:
    """The main thread's part: keys in, images out.

    Args:
        config: what to begin with.
        camera: gives the frames.
        outputs: get every painting.
        sinks: which ones are to be added to the outputs with the first painting, and where snapshots go.
        device: for the model.
        model: to render with.
        stop: quits when another thread sets it.
    """

    def __init__(
        self,
        config: Config,
        camera: Camera,
        outputs: Outputs,
        sinks: SinkOptions,
        device: str = "auto",
        model: str | Path | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        # Before the threads that are to share them.
        limit_heaps()
        self._config = config
        self._camera = camera
        self._outputs = outputs
        self._sinks = sinks
        self._device = device
        self._model = model
        self._stop = stop or threading.Event()
        self._renderer = RenderThread(self._load, camera, outputs.write, config.rate)
        self._recording = Recording(outputs, self._announce)
        self._errands = Errands(self._announce)
        self._figures = Figures(camera)
        self._session: Session | None = None
        # Both come with the first painting.
        self._controls: Controls | None = None
        self._matcher: ColorMatcher | None = None
        self._writes = True
        self._help = False
        self._notice = ""
        self._notice_until = 0.0
        self._caption_until = time.monotonic() + NOTICE_SECONDS
        self._strip_until = 0.0

    def run_in(self, window: Screen) -> None:
        """Show paintings and take keys until somebody quits; without the window, where that fails and a sink is left.

        Raises:
            LivestyleError: the camera does not open, the engine failed, or the window has with no sink left.
        """
        self._renderer.start()
        try:
            self._run_in(window)
        except LivestyleError:
            raise
        except Exception as error:
            text = f"the window has failed ({first_line(error)})"
            if not len(self._outputs):
                raise DeviceError(f"{text}: start it again, or without a window", setting="window") from error
            tell(f"{text}: the rest goes on, Ctrl+C ends it")
            self._run_without_window()

    def _run_in(self, window: Screen) -> None:
        blank = np.zeros((START_SIZE[1], START_SIZE[0], 3), np.uint8)
        last: tuple[BgrImage, Overlay] | None = None
        if self._config.full_screen:
            window.toggle_full_screen()
        while not self._stop.is_set():
            painting = self._renderer.painting
            self._look_around(painting, self._say)
            # Until the model is warm, the camera as it is.
            frame = None if painting is not None else self._camera.latest(timeout=0)
            image = painting.image if painting is not None else blank if frame is None else frame.image
            overlay = self._words(painting)
            is_new = last is None or last[0] is not image
            changed = is_new or last is None or last[1] != overlay
            if changed:
                begin = time.monotonic()
                window.fit(*image.shape[1::-1])
                window.show(self._written(image, overlay))
                self._figures.drawing.add(time.monotonic() - begin)
                last = (image, overlay)
            # OpenCV brings the image to the screen only while it waits for a key.
            code = window.wait_key(1 if changed else KEY_MILLISECONDS)
            if is_new and painting is not None:
                self._figures.add_shown(painting)
            press = None if code is None else read_key(code)
            if not window.is_open or (press is not None and press.action is Action.QUIT):
                return
            if press is not None:
                self._act(press, window, painting)

    def run_without_window(self) -> None:
        """Write paintings to the sinks until somebody quits.

        Raises:
            LivestyleError: the camera does not open, the engine failed, or no sink is left.
        """
        self._renderer.start()
        self._run_without_window()

    def _run_without_window(self) -> None:
        painting: Painting | None = None
        notice = ""
        while not self._stop.is_set():
            painting = self._renderer.wait(painting, IDLE_SECONDS)
            self._look_around(painting, tell)
            if self._warning != notice:
                notice = self._warning
                tell(notice or f"{self._camera.name} gives pictures")
            if painting is not None and not len(self._outputs) and not self._recording.is_beginning:
                raise OutputError("nothing is left to write the paintings to, so this is the end")

    def close(self) -> None:
        """End the threads, and complete the recording, which comes last whatever happens before."""
        with ExitStack() as stack:
            stack.callback(self._recording.close)
            stack.callback(self._errands.close)
            if self._session is not None:
                stack.callback(self._session.folder.close)
            if self._matcher is not None:
                stack.callback(self._matcher.close)
            stack.callback(self._renderer.close)

    def _load(self) -> tuple[Stylizer, Look]:
        """On the render thread."""
        self._session = session = open_session(self._config, self._device, self._model)
        tell(f"{session.stylizer.device.text}; model {session.stylizer.model.manifest.name}")
        return session.stylizer, session.look

    def _look_around(self, painting: Painting | None, say: Callable[[str], None]) -> None:
        """Follow what happens without a key: styles come and go, time passes, sinks fail."""
        for error in self._outputs.take_errors():
            self._announce(str(error))
        self._recording.follow()
        self._errands.follow()
        session = self._session
        if session is None or painting is None:
            return
        if self._controls is None or self._matcher is None:
            self._begin(session, painting)
            return
        now = time.monotonic()
        for news in session.folder.take_news():
            say(news)
        self._controls.set_styles(session.folder.styles, now)
        self._matcher.follow(self._controls, painting.frame.image)
        self._renderer.look = self._controls.tick(now)
        for message in self._controls.take_messages():
            say(message)

    def _begin(self, session: Session, painting: Painting) -> None:
        """With the first painting, whose size is known by then: controls, and the sinks that need the size."""
        config = self._config
        self._controls = Controls(
            session.look,
            session.first,
            session.folder.styles,
            crossfade=config.crossfade,
            cycle=config.cycle,
            cycling=config.cycling,
            now=time.monotonic(),
        )
        self._matcher = ColorMatcher(session.library)
        self._say("press h for the keys")
        keys = "; press h in the window for the keys" if self._sinks.window else ""
        tell(f"{self._camera.name} at {self._camera.width}x{self._camera.height}{keys}")
        width, height = painting.image.shape[1::-1]
        if self._sinks.record is not None:
            path = self._sinks.record
            self._recording.start(lambda: path, width, height)

    def _act(self, press: Press, window: Screen, painting: Painting | None) -> None:
        # The notice of the last key is outdated.
        self._notice = ""
        match press.action:
            case Action.FULL_SCREEN:
                window.toggle_full_screen()
                return
            case Action.HELP:
                self._help = not self._help
                return
        if painting is None or self._controls is None:
            self._say(f"not yet: {self._camera.notice or 'the model is starting'}")
            return
        now = time.monotonic()
        self._caption_until = now + NOTICE_SECONDS
        if press.action in STYLE_ACTIONS:
            self._strip_until = now + NOTICE_SECONDS
        folder = self._sinks.folder
        match press.action:
            case Action.SNAPSHOT:
                self._errands.begin("snapshot", lambda: f"saved {save_snapshot(folder, painting.image)}")
            case Action.RECORD if self._recording.recorder is not None:
                self._recording.stop()
            case Action.RECORD:
                self._recording.start(lambda: free_name(folder, ".mp4"), *painting.image.shape[1::-1])
            case Action.SAVE:
                choices = self._choices(self._controls, window)
                # Whatever this run was asked for: camera, size and rate of the file stay.
                self._errands.begin("settings", lambda: f"saved {save_settings(replace(load_settings(), **choices))}")
            case _:
                self._renderer.look = self._controls.handle(press, now)
                for message in self._controls.take_messages():
                    self._say(message)

    def _choices(self, controls: Controls, window: Screen) -> dict[str, Any]:
        """What the keys have set, as `Settings` has it."""
        assert self._session is not None
        config, background = self._config, self._session.background
        return {
            "style": controls.recipe_text(),
            "styles": None if config.styles is None else str(config.styles.resolve()),
            "mask": None if config.mask is None else str(config.mask.resolve()),
            "background": config.background if background is None else style_text(background),
            "full_screen": window.is_full_screen,
            "crossfade": controls.crossfade,
            "look": controls.look.choices(),
        }

    def _say(self, text: str) -> None:
        """Show a notice on the screen."""
        self._notice, self._notice_until = text, time.monotonic() + NOTICE_SECONDS

    def _announce(self, text: str) -> None:
        """Show a notice on the screen and in the terminal, from which the name of a file can be copied."""
        self._say(text)
        tell(text)

    @property
    def _warning(self) -> str:
        return self._camera.notice or self._renderer.notice

    def _words(self, painting: Painting | None) -> Overlay:
        """What is written over the picture; nothing from the first failure on, since words must not end the picture."""
        try:
            return self._overlay(painting) if self._writes else Overlay()
        except Exception as error:
            return self._lose_words(error)

    def _written(self, image: BgrImage, overlay: Overlay) -> BgrImage:
        try:
            return draw(image, overlay)
        except Exception as error:
            self._lose_words(error)
            return image

    def _lose_words(self, error: Exception) -> Overlay:
        if self._writes:
            tell(f"nothing can be written over the picture any more ({first_line(error)}): it goes on without")
        self._writes = False
        return Overlay()

    def _overlay(self, painting: Painting | None) -> Overlay:
        now = time.monotonic()
        controls, recorder = self._controls, self._recording.recorder
        caption = "starting the model ..." if controls is None else controls.caption
        shows_caption = painting is None or self._help or now < self._caption_until
        return Overlay(
            # Nothing covers the painting while nobody presses a key.
            caption=caption if shows_caption else "",
            strip=self._strip(controls) if controls and (self._help or now < self._strip_until) else (),
            current=-1 if controls is None or controls.place is None else controls.place,
            notice=self._notice if now < self._notice_until else "",
            help=help_rows() if self._help else (),
            figures=self._figures.rows(painting, recorder) if self._help else (),
            warning=self._warning,
            recording=f"REC {clock(recorder.seconds)}" if recorder is not None else "",
        )

    def _strip(self, controls: Controls) -> tuple[Thumbnail, ...]:
        assert self._session is not None
        images = {style: self._session.folder.thumbnail(style) for style in controls.styles}
        # A preset has no image of its own; its thumbnail is a painting of the camera.
        without = [style for style, image in images.items() if image is None and style.source is None]
        previews = self._renderer.previews
        missing = [style for style in without if style not in previews]
        if missing:
            self._renderer.request_previews(missing)
        images.update({style: previews.get(style) for style in without})
        return tuple(Thumbnail(style.name, images[style]) for style in controls.styles)
