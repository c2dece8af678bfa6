"""Sections model and speed: damaged weights, devices that paint wrongly, and figures that are not as they should be."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import livestyle.doctor.models
import livestyle.doctor.providers
import livestyle.doctor.speed
from livestyle import Stylizer
from livestyle.doctor.speed import check_speed
from livestyle.media.video.reader import VideoReader
from tests.program import IDENTITY

from .conftest import examine


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the model of the tests."""
    return Path(shutil.copytree(IDENTITY, tmp_path / "copy"))


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_weights_that_are_whole_are_said() -> None:
    line = examine("model")[f"model {IDENTITY}"]
    assert line["text"].startswith("all 6 files have their checksums, ")
    assert line["figures"]["folder"] == str(IDENTITY)


@pytest.mark.usefixtures("hurried")
def test_a_single_bit_of_damage_is_found(copy: Path) -> None:
    damage(copy / "stylize.onnx")
    found = examine("model", "speed", model=copy, code=1)
    line = found[f"model {copy}"]
    assert line["state"] == "broken"
    assert line["text"].startswith(f"{copy / 'stylize.onnx'} is damaged or changed")
    assert line["mend"].startswith("copy the whole model folder again")
    assert found["device"]["state"] == found["frame rate"]["state"] == "broken"


def test_a_file_that_is_missing_is_named(copy: Path) -> None:
    (copy / "style.onnx").unlink()
    assert "lacks style.onnx" in examine("model", model=copy, code=1)[f"model {copy}"]["text"]


def test_a_model_that_there_is_not_is_said() -> None:
    assert "there is no model 'nowhere'" in examine("model", model="nowhere", code=1)["model nowhere"]["text"]


def test_another_model_that_is_damaged_is_a_warning(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(copy / "stylize.onnx")
    monkeypatch.setattr("livestyle.engine.model.package_folder", lambda name: tmp_path)
    line = examine("model")["model copy"]
    assert line["state"] == "warning"
    assert (
        line["mend"]
        == "pip install --force-reinstall --no-deps, and the wheel or the checkout that livestyle came from"
    )


def test_networks_that_onnxruntime_cannot_run_are_broken(copy: Path) -> None:
    (copy / "stylize.onnx").write_bytes(b"no network")
    manifest = json.loads((copy / "manifest.json").read_text())
    from livestyle.engine.model import checksum

    manifest["files"]["stylize.onnx"] = checksum(copy / "stylize.onnx")
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert "is no network that onnxruntime can run" in examine("model", model=copy, code=1)["device"]["text"]


def test_a_card_that_is_not_used_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(livestyle.doctor.providers, "has_nvidia_card", lambda: True)
    monkeypatch.setattr("livestyle.engine.devices.has_nvidia_driver", lambda: False)
    line = examine("model")["device"]
    assert line["state"] == "warning"
    assert line["text"].endswith("there is an NVIDIA card, and it is not used")


def test_what_is_painted_keeps_its_odd_size_and_its_colours() -> None:
    line = examine("model")["painting"]
    assert line["text"] == ("a frame of 131x96 keeps its size and its colours (BGR); as the float32 network on the CPU")


def test_the_shipped_network_of_integers_is_near_the_exact_one(stylizer: Stylizer) -> None:
    finding = livestyle.doctor.models.check_painting(stylizer)
    assert (finding.state, finding.name) == ("ok", "painting")
    assert finding.figures["psnr"] != 99.0


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda painted: painted[..., ::-1].copy(), "cpu paints with blue and red exchanged: "),
        (lambda painted: 255 - painted, "cpu paints wrongly: "),
        (lambda painted: painted[1:], "a frame of 131x96 became one of 131x95"),
    ],
)
def test_a_device_that_paints_wrongly_is_not_believed(
    change: Callable[[np.ndarray], np.ndarray], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stylize = Stylizer.stylize

    def wrong(self: Stylizer, *arguments: Any, **options: Any) -> np.ndarray:
        painted = stylize(self, *arguments, **options)
        return painted if self.device.exact else change(painted)

    monkeypatch.setattr(Stylizer, "stylize", wrong)
    line = examine("model", code=1)["painting"]
    assert line["text"].startswith(text)
    assert "--device" in line["mend"]


@pytest.mark.usefixtures("hurried")
def test_speed_is_measured_for_each_stage() -> None:
    found = examine("speed")
    assert found["frame rate"]["figures"]["size"] == "640x360"
    milliseconds = found["stages"]["figures"]["milliseconds"]
    assert milliseconds.keys() == {"decoding", "painting", "encoding"}
    assert found["stages"]["figures"]["slowest"] == max(milliseconds, key=milliseconds.get)
    assert found["form"]["text"] == "the network has one form on this device"


@pytest.mark.usefixtures("hurried")
def test_the_form_that_was_chosen_is_said_with_the_reason(stylizer: Stylizer) -> None:
    finding = next(iter(check_speed(stylizer)))
    assert finding.name == "form"
    assert finding.figures["form"] == stylizer.form
    assert f"{finding.figures['speedup']:.2f} times as fast" in finding.text


@pytest.mark.usefixtures("hurried")
def test_a_slow_machine_is_told_how_to_keep_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(livestyle.doctor.speed, "SMOOTH_RATE", 1e6)
    line = examine("speed")["frame rate"]
    assert line["state"] == "note"
    assert "--size 320x180" in line["mend"]


@pytest.mark.usefixtures("hurried")
def test_memory_that_grows_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = itertools.count(300.0, 100.0)
    monkeypatch.setattr(livestyle.doctor.speed, "resident_mib", lambda: next(sizes))
    line = examine("speed")["memory"]
    assert line["state"] == "warning"
    assert line["figures"]["growth_mib"] == 100


@pytest.mark.usefixtures("hurried")
def test_a_system_that_does_not_tell_its_memory_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(livestyle.doctor.speed, "resident_mib", lambda: None)
    assert examine("speed")["memory"]["state"] == "note"


@pytest.mark.usefixtures("hurried")
def test_a_core_that_is_busy_for_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count(0.0, 10.0)
    monkeypatch.setattr("time.process_time", lambda: next(seconds))
    line = examine("speed")["idle"]
    assert line["state"] == "warning"
    assert "OMP_WAIT_POLICY" in line["mend"]


@pytest.mark.usefixtures("hurried")
def test_a_stabiliser_that_does_not_hold_still_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = iter([3.0, 2.0])
    monkeypatch.setattr(livestyle.doctor.speed, "_difference", lambda images: next(levels))
    line = examine("speed")["flicker"]
    assert line["state"] == "warning"
    assert (
        line["text"] == "a still scene flickers by 3.0 grey levels from frame to frame, by 2.0 without the stabiliser"
    )


@pytest.mark.usefixtures("hurried")
def test_the_stabiliser_holds_a_noisy_scene_still(stylizer: Stylizer) -> None:
    finding = {f.name: f for f in check_speed(stylizer)}["flicker"]
    assert finding.figures["levels"] < finding.figures["without"]  # type: ignore[operator]


def test_a_bundled_clip_that_is_gone_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: VideoReader, path: Path, **options: Any) -> None:
        raise OSError("no such clip")

    monkeypatch.setattr(VideoReader, "__init__", fail)
    assert "no such clip" in examine("speed", code=1)["speed"]["text"]
