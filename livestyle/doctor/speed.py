"""Section ``speed``: frames per second of each stage, the form of the network, delay, flicker, memory and idle work."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

from .finding import Finding, Section, State
from .models import first_style

if TYPE_CHECKING:
    from livestyle.engine.stylizer import Stylizer
    from livestyle.media.frames import BgrImage

SIZE = 640, 360
"""Width and height of the frames, in pixels."""
NOISE = 2.0
"""Standard deviation of the noise of a camera in good light, in grey levels."""
WARM_UP_SECONDS, PAINT_SECONDS, LIVE_SECONDS, IDLE_SECONDS = 1.0, 1.5, 0.8, 0.25
SMOOTH_RATE = 24.0
"""Frames per second that the live program holds by painting smaller."""
MEMORY_MIB = 64.0
"""Growth while the same few frames are painted, from which on something is wrong; buffers of a late thread are less."""


def check_speed(stylizer: Stylizer) -> Iterator[Finding]:
    """Findings on how fast and how steadily a stylizer paints here."""
    frames = noisy_frames()
    yield _form(stylizer)
    times, flickers, growth = _paint(stylizer, frames)
    stages = {"decoding": _decoding(), "painting": median(times), "encoding": _encoding(frames)}
    rate = 1 / stages["painting"]
    figures: dict[str, object] = {"frames_per_second": round(rate, 2), "size": f"{SIZE[0]}x{SIZE[1]}"}
    text = f"{rate:.1f} frames/s at {SIZE[0]}x{SIZE[1]}"
    if (load := _others_load()) > 0.5:
        text += f" (other programs kept {load:.1f} cores busy in the last minute)"
    if rate < SMOOTH_RATE:
        model = ", and --model lite is faster" if stylizer.model.manifest.arch != "lite" else ""
        mend = f"livestyle webcam --fps {SMOOTH_RATE:g} paints smaller to keep up, --size 320x180 fixes a size{model}"
        text += f", less than the {SMOOTH_RATE:g} of smooth motion"
        yield Finding(Section.SPEED, "frame rate", State.NOTE, text, mend, figures)
    else:
        yield Finding(Section.SPEED, "frame rate", State.OK, text, figures=figures)
    slowest = max(stages, key=lambda name: stages[name])
    shown = ", ".join(f"{name} {1000 * seconds:.1f} ms" for name, seconds in stages.items())
    text = f"{shown} a frame: {slowest} is the slowest (live, the key h shows the stages of your own camera)"
    milliseconds = {name: round(1000 * seconds, 2) for name, seconds in stages.items()}
    yield Finding(Section.SPEED, "stages", State.OK, text, figures={"milliseconds": milliseconds, "slowest": slowest})
    yield _delay(stylizer)
    steady, loose = flickers
    text = (
        f"a still scene flickers by {steady:.1f} grey levels from frame to frame, by {loose:.1f} without the stabiliser"
    )
    mend = "" if steady <= loose else "keep the stabiliser on (the key t), and report this"
    state = State.OK if steady <= loose else State.WARNING
    yield Finding(Section.SPEED, "flicker", state, text, mend, {"levels": round(steady, 2), "without": round(loose, 2)})
    yield _memory(growth, len(times))
    yield _idle()


def noisy_frames() -> list[BgrImage]:
    """The first frame of the bundled clip with fresh noise, as a camera at rest gives it: 4 of uint8 [360, 640, 3]."""
    import numpy as np

    from livestyle.engine.model import package_folder
    from livestyle.media.resize import resize
    from livestyle.media.video.reader import VideoReader

    with VideoReader(package_folder("assets") / "demo.mp4", video_only=True) as video:
        still = resize(next(iter(video)).image, *SIZE)
    random = np.random.default_rng(0)
    noise = (random.normal(0, NOISE, still.shape).astype(np.float32) for _ in range(4))
    return [np.rint(still + each).clip(0, 255).astype(np.uint8) for each in noise]


def resident_mib() -> float | None:
    """Memory of this process that is in RAM, in MiB; None where the system does not tell."""
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return None


def _others_load() -> float:
    """Mean number of runnable threads of the last minute, without this program; 0 where the system does not tell."""
    return max(0.0, os.getloadavg()[0] - 1) if hasattr(os, "getloadavg") else 0.0


def _form(stylizer: Stylizer) -> Finding:
    from livestyle.engine.session import UNUSABLE

    name = "form"
    stylizer.settle_form()
    speedup, is_cpu = stylizer.speedup, stylizer.device.kind == "cpu"
    if not speedup:
        text = "the network has one form on this device"
        return Finding(Section.SPEED, name, State.OK, text, figures={"form": stylizer.form})
    other = "constant weights are" if is_cpu else "a CUDA graph is"
    text = f"8-bit network with {stylizer.form} weights" if is_cpu else "float16 network"
    if not is_cpu and stylizer.form == "graph":
        text += " as a CUDA graph"
    # A form that fails, or paints something else, is remembered as next to nothing.
    figure = round(speedup, 2)
    found = f"{figure:.2f} times as fast" if speedup > UNUSABLE else "of no use"
    text += f": measured here, {other} {found}"
    return Finding(Section.SPEED, name, State.OK, text, figures={"form": stylizer.form, "speedup": figure})


def _paint(stylizer: Stylizer, frames: list[BgrImage]) -> tuple[list[float], tuple[float, float], float | None]:
    """Seconds of each frame, flicker with and without stabiliser in grey levels, and growth of memory in MiB."""
    from livestyle.render.look import Look
    from livestyle.render.renderer import Renderer

    look, renderer = Look(first_style(stylizer)), Renderer(stylizer)
    start, number = perf_counter(), 0
    while number < 3 or (number < 20 and perf_counter() - start < WARM_UP_SECONDS):
        renderer.render(frames[number % len(frames)], look)
        number += 1
    before = resident_mib()
    times: list[float] = []
    paintings: list[BgrImage] = []
    while len(times) < 3 or sum(times) < PAINT_SECONDS:
        number += 1
        begin = perf_counter()
        painting = renderer.render(frames[number % len(frames)], look)
        times.append(perf_counter() - begin)
        paintings = [*paintings[-2:], painting]
    after = resident_mib()
    growth = None if before is None or after is None else after - before
    single = [stylizer.stylize(frame, look.style.stats_at(0)) for frame in frames[:3]]
    return times, (_difference(paintings), _difference(single)), growth


def _difference(images: list[BgrImage]) -> float:
    import numpy as np

    return float(mean(np.abs(a.astype(np.int16) - b.astype(np.int16)).mean() for a, b in pairwise(images)))


def _decoding() -> float:
    """Seconds that a frame of the bundled clip takes to be decoded and converted."""
    from livestyle.engine.model import package_folder
    from livestyle.media.video.reader import VideoReader

    times = []
    with VideoReader(package_folder("assets") / "demo.mp4", video_only=True) as video:
        begin = perf_counter()
        for frame in video:
            # It is converted on first access.
            _ = frame.image
            times.append(perf_counter() - begin)
            if len(times) == 16:
                break
            begin = perf_counter()
    return median(times)


def _encoding(frames: list[BgrImage]) -> float:
    """Seconds that a frame takes to be encoded as H.264."""
    from fractions import Fraction

    from livestyle.media.video.info import VideoInfo
    from livestyle.media.video.writer import VideoWriter

    rate, count = Fraction(25), 12
    with TemporaryDirectory(prefix="livestyle-") as folder:
        writer = VideoWriter(Path(folder) / "probe.mp4", VideoInfo(*SIZE, rate, 1 / rate))
        begin = perf_counter()
        for number in range(count):
            writer.write(frames[number % len(frames)], number / rate)
        writer.close()
        return (perf_counter() - begin) / count


def _delay(stylizer: Stylizer) -> Finding:
    """Age of the frames that the live program would show, when they are painted: it skips all that are older."""
    from livestyle.engine.model import package_folder
    from livestyle.media.capture.camera import Camera
    from livestyle.render.look import Look
    from livestyle.render.renderer import Renderer

    look, renderer = Look(first_style(stylizer)), Renderer(stylizer)
    ages, last = list[float](), None
    with closing(Camera(package_folder("assets") / "demo.mp4", SIZE)) as camera:
        last = camera.wait_open(10)
        end = time.monotonic() + LIVE_SECONDS
        while len(ages) < 3 or time.monotonic() < end:
            frame = camera.latest(after=last)
            if frame is None:
                break
            last = frame
            renderer.render(frame, look)
            ages.append(time.monotonic() - float(frame.time))
    if not ages:
        return Finding(Section.SPEED, "delay", State.WARNING, "the bundled clip gave no frames", "livestyle demo")
    # The first ones are painted while the network warms up.
    age = 1000 * median(ages[1:] or ages)
    text = f"a painting is ready {age:.0f} ms after its frame came; only the newest frame is painted"
    return Finding(Section.SPEED, "delay", State.OK, text, figures={"milliseconds": round(age, 1)})


def _memory(growth: float | None, frames: int) -> Finding:
    total = resident_mib()
    if growth is None or total is None:
        return Finding(Section.SPEED, "memory", State.NOTE, "this system does not tell how much is used")
    text = f"{total:.0f} MiB in all, {growth:+.1f} MiB over {frames} frames"
    figures = {"mib": round(total, 1), "growth_mib": round(growth, 2), "frames": frames}
    if growth > MEMORY_MIB:
        mend = "livestyle doctor speed again; if it grows each time, report it with this page"
        return Finding(Section.SPEED, "memory", State.WARNING, text, mend, figures)
    return Finding(Section.SPEED, "memory", State.OK, text, figures=figures)


def _idle() -> Finding:
    """Processor time while nothing is painted: threads of a pool that spin would take a core each."""
    start, begin = time.process_time(), perf_counter()
    time.sleep(IDLE_SECONDS)
    share = (time.process_time() - start) / (perf_counter() - begin)
    text = f"while nothing is painted, the program takes {100 * share:.0f} % of a core"
    figures = {"share": round(share, 3)}
    if share > 0.5:
        mend = "livestyle doctor speed again; OMP_WAIT_POLICY=PASSIVE keeps foreign thread pools from spinning"
        return Finding(Section.SPEED, "idle", State.WARNING, text, mend, figures)
    return Finding(Section.SPEED, "idle", State.OK, text, figures=figures)
