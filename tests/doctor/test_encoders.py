"""Section video: encoders that are missing, change colours or lose sound."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livestyle.errors import OutputError
from livestyle.media.video import codecs
from livestyle.media.video.codecs import CODECS, Encoder, Encoding
from livestyle.media.video.writer import VideoWriter

from .conftest import examine


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a codec one that PyAV does not have."""

    def leave_out(codec: str) -> None:
        find = codecs.find_encoder

        def find_others(container: str, encoding: Encoding, width: int, height: int, bits: int = 8) -> Encoder:
            if encoding.codec == codec:
                raise OutputError(f"this PyAV has no encoder for {codec}: choose another codec")
            return find(container, encoding, width, height, bits)

        monkeypatch.setattr("livestyle.media.video.encoder.find_encoder", find_others)

    return leave_out


def test_every_codec_really_encodes() -> None:
    found = examine("video")
    for codec in CODECS:
        assert found[codec]["text"].startswith("encodes and decodes; 131x97 becomes 132x98"), codec
    assert found["sound"]["state"] == "ok"


@pytest.mark.parametrize(("codec", "state", "code"), [("h264", "broken", 1), ("hevc", "warning", 0)])
def test_a_codec_that_is_missing_is_said(codec: str, state: str, code: int, without: Any) -> None:
    without(codec)
    line = examine("video", code=code)[codec]
    assert line["state"] == state
    assert line["text"].startswith(f"this PyAV has no encoder for {codec}")
    assert line["mend"] == 'pip install --force-reinstall "av>=18,<19"'


def test_blue_that_becomes_red_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    write = VideoWriter.write

    def swapped(self: VideoWriter, image: np.ndarray, *times: Fraction) -> None:
        write(self, np.ascontiguousarray(image[..., ::-1]), *times)

    monkeypatch.setattr(VideoWriter, "write", swapped)
    line = examine("video", code=1)["h264"]
    assert line["text"].startswith("3 of 3 frames came back, and blue, green, red (200, 60, 30) as (3")


def test_sound_that_is_lost_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    create = VideoWriter.__init__

    def deaf(self: VideoWriter, path: Path, info: Any, source: Any = None, *rest: Any, **options: Any) -> None:
        create(self, path, info, None, *rest, **options)

    monkeypatch.setattr(VideoWriter, "__init__", deaf)
    line = examine("video")["sound"]
    assert (line["state"], line["text"]) == ("warning", ".mkv: the sound is lost")


def test_sound_that_is_out_of_step_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    write = VideoWriter.write

    def late(self: VideoWriter, image: np.ndarray, time: Fraction, *rest: Fraction) -> None:
        write(self, image, time + 1, *rest)

    monkeypatch.setattr(VideoWriter, "write", late)
    assert examine("video")["sound"]["text"].startswith(".mkv: sound and images are 1.0")


def test_a_hardware_encoder_that_opens_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(container: str, encoding: Encoding, width: int, height: int) -> Encoder:
        if encoding.codec != "h264":
            raise OutputError("no hardware encoder opens here")
        return Encoder("h264_nvenc", "yuv420p", {})

    monkeypatch.setattr(codecs, "find_encoder", find)
    line = examine("video")["hardware"]
    assert line["figures"] == {"encoders": ["h264_nvenc"]}
    assert line["text"] == "h264_nvenc open (livestyle video --hardware)"


def test_without_hardware_encoders_the_reasons_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> Encoder:
        raise OutputError("no hardware encoder for h264 opens here: tried nvenc (no card); leave hardware out")

    monkeypatch.setattr(codecs, "find_encoder", fail)
    line = examine("video")["hardware"]
    assert line["state"] == "note"
    assert line["text"].endswith("tried nvenc (no card); videos are encoded in software")


def test_a_folder_for_temporary_files_that_there_is_not_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    line = examine("video", code=1)["codecs"]
    assert "temporary files cannot be written" in line["text"]
    assert "TMPDIR" in line["mend"]
