"""Section ``video``: codecs that really encode, hardware encoders that really open, colours and sound of a film."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from livestyle.errors import LivestyleError

from .finding import Finding, Section, State
from .log import captured_warnings

NEEDED = ("h264", "vp9")
"""Codecs that videos get without being asked for: VP9 in WebM, H.264 elsewhere."""
RATE = Fraction(25)
WIDTH, HEIGHT = 131, 97
"""Of the short films; odd, since codecs take even sizes only."""
COLOR = (200, 60, 30)
"""Blue, green, red of their pixels."""
COLOR_TOLERANCE = 12.0
"""Grey levels by which an encoder may change a colour."""
SYNC_TOLERANCE = 0.1
"""Seconds by which sound and images may begin or end apart; a packet of sound lasts 0.02 to 0.05."""
PACKAGE = 'pip install --force-reinstall "av>=18,<19"'


def check_video() -> Iterator[Finding]:
    """Findings on each codec in software and hardware, and on sound."""
    from livestyle.media.video.codecs import CODECS

    try:
        with TemporaryDirectory(prefix="livestyle-") as folder:
            for codec in CODECS:
                yield _software(codec, Path(folder))
            yield _hardware()
            yield _sound(Path(folder))
    except OSError as error:
        text = f"the folder for temporary files cannot be written ({error.strerror or error})"
        yield Finding(Section.VIDEO, "codecs", State.BROKEN, text, "set TMPDIR to a folder that can be written")


def _software(codec: str, folder: Path) -> Finding:
    import numpy as np

    from livestyle.media.video.codecs import Encoding
    from livestyle.media.video.info import VideoInfo
    from livestyle.media.video.reader import VideoReader
    from livestyle.media.video.writer import VideoWriter

    path = folder / f"{codec}.mkv"
    frame = np.full((HEIGHT, WIDTH, 3), COLOR, np.uint8)
    state = State.BROKEN if codec in NEEDED else State.WARNING
    try:
        writer = VideoWriter(path, VideoInfo(WIDTH, HEIGHT, RATE, 1 / RATE), encoding=Encoding(codec))
        for number in range(3):
            writer.write(frame, number / RATE)
        writer.close()
        with VideoReader(path, video_only=True) as video:
            images = [each.image for each in video]
    except LivestyleError as error:
        return Finding(Section.VIDEO, codec, state, str(error), PACKAGE)
    found = np.mean([image[:HEIGHT, :WIDTH].mean(axis=(0, 1)) for image in images], axis=0)
    if len(images) != 3 or np.abs(found - COLOR).max() > COLOR_TOLERANCE:
        levels = ", ".join(f"{value:.0f}" for value in found)
        text = f"{len(images)} of 3 frames came back, and blue, green, red {COLOR} as ({levels})"
        return Finding(Section.VIDEO, codec, state, text, PACKAGE)
    size = f"{images[0].shape[1]}x{images[0].shape[0]}"
    text = f"encodes and decodes; {WIDTH}x{HEIGHT} becomes {size} without being stretched, blue stays blue"
    return Finding(Section.VIDEO, codec, State.OK, text)


def _hardware() -> Finding:
    from livestyle.errors import OutputError
    from livestyle.media.video.codecs import CODECS, Encoding, find_encoder

    opened, reasons = list[str](), list[str]()
    for codec in CODECS:
        try:
            opened.append(find_encoder("matroska", Encoding(codec, hardware=True), 640, 360).name)
        except OutputError as error:
            reasons.append(str(error))
    figures = {"encoders": opened}
    if opened:
        text = f"{', '.join(opened)} open (livestyle video --hardware)"
        return Finding(Section.VIDEO, "hardware", State.OK, text, figures=figures)
    reason = reasons[0].removesuffix("; leave hardware out")
    text = f"{reason}; videos are encoded in software"
    return Finding(Section.VIDEO, "hardware", State.NOTE, text, figures=figures)


def _sound(folder: Path) -> Finding:
    """Whether sound survives where the container takes it as it is, and where it has to be converted."""
    name = "sound"
    source = folder / "sound.mkv"
    try:
        _film_with_sound(source)
        for suffix in (".mkv", ".mp4", ".webm"):
            trouble = _carried(source, folder / f"carried{suffix}")
            if trouble:
                return Finding(Section.VIDEO, name, State.WARNING, f"{suffix}: {trouble}", PACKAGE)
    except LivestyleError as error:
        return Finding(Section.VIDEO, name, State.WARNING, str(error), PACKAGE)
    text = "kept in .mkv, converted to AAC in .mp4 and to Opus in .webm, in step with the images to 0.1 s"
    return Finding(Section.VIDEO, name, State.OK, text)


def _film_with_sound(path: Path) -> None:
    """Write a film of one second with a tone in PCM, which .mp4 and .webm do not carry."""
    import numpy as np

    from livestyle.media.video.libav import av

    rate = 48000
    with av.open(str(path), "w") as film:
        video = film.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        sound = film.add_stream("pcm_s16le", rate=rate, layout="mono")
        tone = (8000 * np.sin(np.arange(rate) * 2 * np.pi * 440 / rate)).astype(np.int16)
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 10 * number, np.uint8), format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            film.mux(video.encode(frame))
            part = tone[number * 1920 : (number + 1) * 1920]
            heard = av.AudioFrame.from_ndarray(part[None], format="s16", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = rate, number * 1920, Fraction(1, rate)
            film.mux(sound.encode(heard))
        film.mux(video.encode(None))
        film.mux(sound.encode(None))


def _carried(source: Path, target: Path) -> str:
    """What is wrong with the sound of a film after the reader and the writer; empty where nothing is."""
    from livestyle.media.video.libav import av
    from livestyle.media.video.reader import VideoReader
    from livestyle.media.video.writer import VideoWriter

    # That sound is converted is said in a warning, which is no news here.
    with VideoReader(source) as video, captured_warnings("livestyle.media.video.writer"):
        writer = VideoWriter(target, video.info, video)
        for frame in video:
            writer.write(frame.image, frame.time, frame.duration)
        writer.close()
    spans = []
    with av.open(str(target)) as film:
        if not film.streams.audio:
            return "the sound is lost"
        for stream in (film.streams.video[0], film.streams.audio[0]):
            film.seek(0)
            frames: list[Any] = list(film.decode(stream))
            if not frames:
                return f"the {stream.type} cannot be decoded"
            last = frames[-1]
            length = getattr(last, "samples", 0) / getattr(last, "sample_rate", 1) or float(1 / RATE)
            spans.append((float(frames[0].time), float(last.time) + length))
    apart = max(abs(a - b) for a, b in zip(*spans, strict=True))
    return f"sound and images are {apart:.2f} s apart" if apart > SYNC_TOLERANCE else ""
