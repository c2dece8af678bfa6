"""Where the milliseconds of a frame go: a video job and the live loop, stage by stage.

python docs/performance_profile.py 640x360 1920x1080 prints the tables of docs/performance.md. Each stage is timed by
itself, what it calls among the other stages left out; the median of its calls is given, times its calls per frame.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import wraps
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import livestyle.engine.constant as constant
import livestyle.render.finishing as finishing
import livestyle.render.renderer as renderer
from livestyle import Look, StyleLibrary, Stylizer, stylize_video
from livestyle.bench.plan import Scope
from livestyle.bench.programs import write_clip
from livestyle.engine.constant import Rest
from livestyle.engine.session import NetworkSession
from livestyle.engine.stabilizer import Stabilizer
from livestyle.live.outputs import Outputs
from livestyle.live.overlay import Overlay, draw
from livestyle.live.render_thread import RenderThread
from livestyle.media.capture.camera import Camera
from livestyle.media.frames import FrameSink
from livestyle.media.resize import parse_size
from livestyle.media.sinks.mjpeg_server import MjpegServer
from livestyle.media.video.decoding import FrameDecoder
from livestyle.media.video.encoder import VideoEncoder
from livestyle.media.video.pixel_formats import Packer, Unpacker
from livestyle.media.video.writer import VideoWriter
from livestyle.render.renderer import Renderer

STAGES: list[tuple[Any, str, str, str]] = [
    (FrameDecoder, "decode", "read ahead", "decode"),
    (Unpacker, "__call__", "read ahead", "YUV to BGR"),
    (Stabilizer, "detect_scene_cut", "render", "stabilise: scene cut"),
    (Stabilizer, "reduce_noise", "render", "stabilise: noise"),
    (Stabilizer, "detect_sparsity", "render", "sparsity"),
    (NetworkSession, "run", "render", "network, computed form"),
    (NetworkSession, "run_for_constants", "render", "network, giving constants"),
    (Rest, "paint", "render", "network, constant form"),
    (constant, "_moments", "render", "drift of the constant form"),
    (renderer, "enlarged", "render", "enlarge"),
    (finishing, "fade_faint", "render", "fade"),
    (Renderer, "render", "render", "the rest of the renderer"),
    (Renderer, "render_batch", "render", "the rest of the renderer"),
    (Packer, "__call__", "write behind", "BGR to YUV"),
    (VideoEncoder, "encode", "write behind", "encode"),
    (VideoWriter, "write", "write behind", "mux"),
    (MjpegServer, "write", "write behind", "serve"),
]
"""Class or module, name of the function, thread that it runs on in a video job, name of the stage."""


class Timer:
    """Time of each stage less that of the stages within it, by call."""

    def __init__(self) -> None:
        self.calls: dict[str, list[float]] = defaultdict(list)
        self._open = threading.local()

    def wrap(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        """The function, timed; what a generator gives is made at once."""

        @wraps(function)
        def timed(*args: Any, **more: Any) -> Any:
            stack: list[float] = self._open.__dict__.setdefault("stack", [])
            stack.append(0.0)
            start = perf_counter()
            try:
                result = function(*args, **more)
                return list(result) if isinstance(result, Iterator) else result
            finally:
                spent = perf_counter() - start
                self.calls[stage].append(1000 * (spent - stack.pop()))
                if stack:
                    stack[-1] += spent

        return timed

    def print(self, title: str, frames: int, seconds: float) -> None:
        """Table of the stages, and the milliseconds from frame to frame."""
        print(f"\n{title}: {1000 * seconds / frames:.1f} ms from frame to frame ({frames} frames)\n")
        print("| thread | stage | ms a call | calls a frame |\n|---|---|---|---|")
        for thread, stage in dict.fromkeys((thread, stage) for _, _, thread, stage in STAGES):
            if calls := self.calls.get(stage):
                print(f"| {thread} | {stage} | {median(calls):.2f} | {len(calls) / frames:.2f} |")


class Counted(FrameSink):
    """Sink that counts paintings after a warm-up."""

    def __init__(self, warm_up: int, timer: Timer) -> None:
        self.times: list[float] = []
        self._warm_up, self._timer = warm_up, timer

    def write(self, _image: Any, _time: Any) -> None:
        self._warm_up -= 1
        if self._warm_up == 0:
            self._timer.calls.clear()
        if self._warm_up <= 0:
            self.times.append(perf_counter())

    def close(self) -> None: ...
    def abort(self) -> None: ...


def profile_video(stylizer: Stylizer, size: tuple[int, int], folder: Path, timer: Timer) -> None:
    clip, look = write_clip(folder, Scope.VIDEO, size), Look(StyleLibrary(stylizer).first())
    timer.calls.clear()
    start = perf_counter()
    result = stylize_video(clip, folder / "painted.mp4", look, stylizer)
    timer.print(f"Video, {size[0]}x{size[1]}", result.frames, perf_counter() - start)


def profile_live(stylizer: Stylizer, size: tuple[int, int], folder: Path, timer: Timer, frames: int) -> None:
    clip, look = write_clip(folder, Scope.LIVE, size), Look(StyleLibrary(stylizer).first())
    overlay = Overlay(caption="The scream", figures=(("frames a second", "30"), ("size", "640x360")))
    with closing(Outputs()) as outputs, Camera(str(clip), every_frame=True) as camera:
        sink = Counted(40, timer)
        outputs.add(sink)
        loop = RenderThread(lambda: (stylizer, look), camera, outputs.write, 0.0)
        loop.start()
        drawn: list[float] = []
        with closing(loop):
            painting = None
            while len(sink.times) <= frames:
                painting = loop.wait(painting, 0.25)
                if painting is not None:
                    start = perf_counter()
                    draw(painting.image, overlay)
                    drawn.append(1000 * (perf_counter() - start))
    timer.print(f"Live, {size[0]}x{size[1]}", len(sink.times) - 1, sink.times[-1] - sink.times[0])
    print(f"| main | draw | {median(drawn):.2f} | {len(drawn) / len(sink.times):.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="+", type=parse_size)
    parser.add_argument("--model", default="lite")
    parser.add_argument("--frames", type=int, default=100, help="of the live loop")
    asked = parser.parse_args()
    timer = Timer()
    for owner, name, _, stage in STAGES:
        setattr(owner, name, timer.wrap(getattr(owner, name), stage))
    stylizer = Stylizer(asked.model, "cpu")
    stylizer.settle_form()
    print(f"form at rest: {stylizer.form}; load average {os.getloadavg()[0]:.1f}")
    for size in asked.sizes:
        with tempfile.TemporaryDirectory() as folder:
            profile_video(stylizer, size, Path(folder), timer)
            profile_live(stylizer, size, Path(folder), timer, asked.frames)
    print(f"\nload average at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
